"""What can go wrong in training, as one tree.

TrainingRefused
└── InputRefused    rows of the input files that cannot be used, each with file and line
"""

from __future__ import annotations

from collections.abc import Sequence


class TrainingRefused(Exception):
    """Nothing was made; the message says why and what to do."""


class InputRefused(TrainingRefused):
    """Rows of an input file that cannot be used, one `file:line: what is wrong` a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))
