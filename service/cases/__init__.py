"""Cases: examples of what a strategy decides, in the strategist's words, read beside it and run against the engine."""
