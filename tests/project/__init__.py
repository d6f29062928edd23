"""Claims about the project itself: its layout, its lock, its contract."""
