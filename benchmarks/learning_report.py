"""What the rounds of learning were worth, how sure that is, and the curve of it as a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.learning_world import Value
from training.report.curves import learning_curve
from training.report.parts import Cell, Curve, Report, Section, Table

ARMS = tuple(one.name for one in fields(Value))
ENOUGH = 0.7
"""Which share of the gap between random and best is to be closed in the last round."""

_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the gap between random and best, with an interval of 95 % by drawing customers with replacement."""

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(slots=True)
class Round:
    """What the decisions of one round were worth by the truth, in euros a decision; `sums` adds them up by customer."""

    number: int
    model: str
    decisions: int = 0
    sums: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def add(self, customer: str, value: Value) -> None:
        """Count a decision."""
        self.decisions += 1
        self.sums[customer] = self.sums.get(customer, np.zeros(len(ARMS))) + astuple(value)

    def mean(self, arm: str) -> float:
        """Return what an arm is worth a decision: said, first, guess, random or best."""
        return float(sum(one[ARMS.index(arm)] for one in self.sums.values()) / self.decisions)

    def closed(self, arm: str, over: str = "random") -> Share:
        """Return which share of the gap an arm closes; or `over` another arm, which share more."""
        each = np.array(list(self.sums.values()))
        top, bottom = (each[:, ARMS.index(a)] - each[:, ARMS.index(b)] for a, b in ((arm, over), ("best", "random")))
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(len(each), np.full(len(each), 1.0 / len(each)), size=_DRAWS)
        low, high = np.quantile((drawn @ top) / (drawn @ bottom), (0.025, 0.975))
        return Share(float(top.sum() / bottom.sum()), float(low), float(high))

    def lack(self) -> str:
        """Say in words what is not reached in this round; empty where all is."""
        if not self.model:
            return "nothing was learned"
        closed, more = self.closed("said"), self.closed("first", over="guess")
        if closed.share < ENOUGH:
            return f"{closed} of the gap is closed, {100 * ENOUGH:.0f} % is wanted"
        return (
            ""
            if more.low > 0.0
            else f"first choices close {more} more than the strategy's own guesses: not surely more"
        )

    def plain(self) -> dict[str, Any]:
        """Return the figures."""
        worth = {arm: self.mean(arm) for arm in ARMS}
        shares = {name: self.closed(name) for name in ("said", "first", "guess")}
        told = {name: {"share": one.share, "low": one.low, "high": one.high} for name, one in shares.items()}
        return {"number": self.number, "model": self.model, "decisions": self.decisions, **worth, "closed": told}


def report_of(rounds: Sequence[Round]) -> Report:
    """Return the curve of a run as a report."""
    over = [sum(one.decisions for one in rounds[: place + 1]) for place in range(len(rounds))]
    names = {
        "best": "best possible", "first": "first choice", "said": "said, trying things out",
        "guess": "guesses of the strategy", "random": "random",
    }  # fmt: skip
    places = np.array(over, dtype=float)
    curves = [Curve(name, places, np.array([one.mean(arm) for one in rounds])) for arm, name in names.items()]
    shares = [
        Curve(names[arm], places, np.array([one.closed(arm).share for one in rounds]))
        for arm in ("first", "said", "guess")
    ]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.number, one.model or "none", one.decisions, *(str(one.closed(arm)) for arm in ("first", "said", "guess")))
        for one in rounds
    )
    head = ("round", "model", "decisions", "first choice", "said", "guesses of the strategy")
    words = (
        "What decisions of each round were worth by the truth of the world, in euros a decision against saying nothing,"
        " all guardrails and caps on. Random and best choose among what might have been said there and then. The first "
        "choice is what promised most by what had been learned; what was said differs from it where things are tried "
        "out in order to learn, so early rounds say less than is known. What was promised is kept, and is the first "
        "choice then. In the last round nothing is tried out.",
        "The guesses are what the declared propensities would have chosen on the same visits, by the formula, without "
        "any model or weight. Intervals of 95 % by customer: of this world and this run, not of other worlds.",
    )
    figures = learning_curve(shares, "share of the gap"), learning_curve(curves, "EUR a decision")
    table = Table("Share of the gap between random and best", head, rows)
    return Report("Learning from its own log", (Section("Rounds", words, figures, (table,)),))
