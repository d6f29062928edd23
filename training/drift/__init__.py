"""Drift: noticing that the world moved away from what a model learned, and putting its probabilities right again."""
