"""Overload: more is asked than one core can answer, for real."""
