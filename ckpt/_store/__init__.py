"""Where captures lie."""
