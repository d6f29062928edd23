"""The ladder of degradation: what callers get while the store has bad weather."""
