"""What saying something earns over saying nothing: learners of uplift, and measures of how well they rank."""
