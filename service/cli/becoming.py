"""Become the training: serving never imports scikit-learn, so what learns is a program of its own."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from service.children import surroundings


def become(*arguments: str) -> NoReturn:
    """Replace this process by `python -m training` with these arguments."""
    command = [sys.executable, "-P", "-m", "training", *arguments]
    os.execve(command[0], command, surroundings())  # noqa: S606 - no shell is wanted
