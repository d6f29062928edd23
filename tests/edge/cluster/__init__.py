"""Injects what a Cluster does to its users: keys that move, keys on their way, masters that die."""
