"""Supply around the decisions: what is free, units granted before a commit, what came of them, and what is wanted."""
