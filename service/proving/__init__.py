"""Prove what a strategy promises, with z3, over all that can be known of a customer."""
