"""Who may come in: callers are known by a certificate or a token, and may do what their role may. docs/access.md."""
