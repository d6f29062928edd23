"""The command line, as its users run it: in processes of their own."""
