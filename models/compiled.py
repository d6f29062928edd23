"""What is compiled when Tact is installed, where there was a compiler; everything in C has a twin in Python."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

SETTING = "TACT_KERNEL"


def compiled(name: str) -> Any:  # noqa: ANN401 - a module that is not always there
    """Return a compiled module by its full name; None where there is none, or with `TACT_KERNEL=python`."""
    if os.environ.get(SETTING) == "python":
        return None
    try:
        return import_module(name)
    except ImportError:
        return None
