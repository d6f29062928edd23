"""Policy around the stores: what was answered is remembered, and what a household was told counts for all of it."""
