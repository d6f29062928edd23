"""What runs in the environments of the peers: each imports its own peer, and nothing of ours."""
