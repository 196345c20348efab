"""From a program to the store."""
