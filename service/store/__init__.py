"""Redis, Valkey and the embedded default: keys, scripts, reads and commits.

From the wire up: `address` (where), `pipeline` (one connection), `connection` (the way to the store), `embedded` with
`watchdog` (a store of our own), `settings` (what is refused at start). What the store means stands above them.
"""
