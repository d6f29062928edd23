"""Claims about independent clients: none of them shares a line with the service."""
