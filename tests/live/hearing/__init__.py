"""What is written is heard: in a Cluster, with sentinels, by many and after a process died."""
