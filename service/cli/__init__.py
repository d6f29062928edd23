"""The command `tact`: start the service, ask it, feed it, train for it, and see it all at once in a demo."""

from __future__ import annotations

from service.cli.program import main

__all__ = ["main"]
