"""What policies are worth by a log of other decisions, how sure that is, and when it cannot be known."""
