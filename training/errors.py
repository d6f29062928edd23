"""What can go wrong in training, as one tree.

TrainingRefused
├── AskedWrongly    an argument that cannot be right: the process ends with 2
└── InputRefused    rows of the input files that cannot be used, each with file and line
"""

from __future__ import annotations

from collections.abc import Sequence


class TrainingRefused(Exception):
    """Nothing was made; the message says why and what to do; `code` ends the process."""

    code = 1


class AskedWrongly(TrainingRefused):
    """An argument is wrong, whatever the data are."""

    code = 2


class InputRefused(TrainingRefused):
    """Rows of an input file that cannot be used, one `file:line: what is wrong` a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))
