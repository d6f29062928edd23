"""The report of a training or an evaluation: one HTML file that needs nothing else."""
