"""What the rounds of learning were worth, and the curve of it as a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.learning_world import Value
from training.report.curves import learning_curve
from training.report.parts import Curve, Report, Section, Table


@dataclass(slots=True)
class Round:
    """What the decisions of one round were worth by the truth, in euros a decision: what was `said`, with all that is
    tried for the sake of learning, and what would have been the `first` choice without that.
    """

    number: int
    model: str
    decisions: int = 0
    said: float = 0.0
    first: float = 0.0
    random: float = 0.0
    best: float = 0.0

    def add(self, value: Value) -> None:
        """Count a decision."""
        self.decisions += 1
        for name in ("said", "first", "random", "best"):
            setattr(self, name, getattr(self, name) + (getattr(value, name) - getattr(self, name)) / self.decisions)

    @property
    def closed(self) -> float:
        """Which share of the gap between the random and the best choice was closed by what was said."""
        return (self.said - self.random) / (self.best - self.random)

    @property
    def known(self) -> float:
        """Which share of the gap the first choices would have closed."""
        return (self.first - self.random) / (self.best - self.random)


def report_of(rounds: Sequence[Round]) -> Report:
    """Return the curve of a run as a report."""
    over = [sum(one.decisions for one in rounds[: place + 1]) for place in range(len(rounds))]
    names = {"best": "best possible", "first": "first choice", "said": "said, trying things out", "random": "random"}
    curves = [
        Curve(name, np.array(over, dtype=float), np.array([getattr(one, part) for one in rounds]))
        for part, name in names.items()
    ]
    rows = tuple((one.number, one.model or "none", one.decisions, 100 * one.known, 100 * one.closed) for one in rounds)
    head = ("round", "model", "decisions", "% of the gap: first choice", "% of the gap: said")
    words = (
        "What decisions of each round were worth by the truth of the world, in euros a decision against saying nothing,"
        " all guardrails and caps on. Random and best choose among what might have been said there and then. The first "
        "choice is what promised most by what had been learned; what was said differs from it where things are tried "
        "out in order to learn, so early rounds say less than is known. What was promised is kept, and is the first "
        "choice then. In the last round nothing is tried out.",
    )
    figure = learning_curve(curves, "EUR a decision")
    return Report("Learning from its own log", (Section("Rounds", words, (figure,), (Table("Rounds", head, rows),)),))
