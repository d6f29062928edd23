"""Several processes that answer on one port, one a core, under a supervisor that keeps them going."""
