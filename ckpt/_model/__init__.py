"""What a capture is."""
