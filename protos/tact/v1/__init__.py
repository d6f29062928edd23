"""Version 1 of the public contract: messages, services and their generated stubs."""
