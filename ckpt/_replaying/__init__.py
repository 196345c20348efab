"""From the store to a person."""
