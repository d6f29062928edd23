"""Admission: how many decisions are made at once, and whose come first when there are too many. docs/overload.md."""
