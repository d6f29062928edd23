"""Worlds to try Tact on: a synthetic one whose truth is known, and a real month of offers."""
