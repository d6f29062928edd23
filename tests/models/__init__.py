"""Claims about what training and serving share."""
