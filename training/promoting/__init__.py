"""Promotion: a model becomes the champion only through a gate, which measures both on what neither has learned from."""
