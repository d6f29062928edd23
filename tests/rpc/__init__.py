"""Claims about the gRPC edge."""
