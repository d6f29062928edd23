"""Claims about training and its command line."""
