"""Watches end to end: real services, real sockets, real clients."""
