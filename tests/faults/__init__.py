"""Faults that are put into a copy of the sources on purpose, each of which must turn named tests red."""
