"""Logs of decisions as training sets: read in batches, joined with what came of them, and encoded as serving does."""
