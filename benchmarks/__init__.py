"""Measures Tact against a floor: the same kind of server, answering an echo after one store read, in the same run."""
