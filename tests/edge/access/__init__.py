"""Attacks on who may come in: identities, scope, quotas, secrets."""
