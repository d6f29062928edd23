"""Claims about the store, on real servers."""
