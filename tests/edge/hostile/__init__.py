"""Hostile input and hostile protocol: malformed messages of every method, and attacks with raw frames."""
