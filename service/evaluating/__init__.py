"""What a strategy and its simple rivals would say in decisions that were logged: their policies, row by row."""
