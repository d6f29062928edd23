"""The page of a simulation: what the service counted, drawn."""
