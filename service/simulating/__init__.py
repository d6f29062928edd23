"""Simulations: what a strategy would have said in decisions that were logged, and who would get something else."""
