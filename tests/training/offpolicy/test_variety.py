"""Where outcomes are rare, nothing is claimed of what luck withheld."""

from __future__ import annotations

import numpy as np
import pytest

from training.decisions import NOTHING, Decisions, Floats
from training.offpolicy.estimates import Intervals, Method, Verdict
from training.offpolicy.evaluation import evaluate
from training.promoting.gate import value_not_worse

RUNS = 60


def _log(seed: int, rows: int, chance: float, prize: float, rare: int) -> Decisions:
    """Return a log of three actions, each as likely; `rare` (1: what is said, 0: nothing) earns a prize by chance."""
    dice = np.random.default_rng(seed)
    action = dice.integers(0, 3, rows)
    won = prize * (dice.random(rows) < chance)
    worth = np.where(action == 0, 0.0, won - 1.0) if rare else np.where(action == 0, won, 1.0)
    return Decisions(
        np.arange(rows), np.arange(rows), ("x",), dice.normal(size=(rows, 1)), (NOTHING, "a", "b"), action,
        np.full(rows, 1 / 3), np.ones((rows, 3), dtype=np.bool_), np.full((rows, 3), np.nan), worth,
    )  # fmt: skip


def _always(rows: int, code: int) -> Floats:
    policy = np.zeros((rows, 3))
    policy[:, code] = 1.0
    return policy


@pytest.mark.parametrize("rare", [1, 0], ids=["what is said", "nothing"])
@pytest.mark.parametrize(("rows", "chance", "prize"), [(150, 0.02, 100.0), (1_500, 0.01, 200.0)], ids=["few", "more"])
def test_rare_outcomes_are_no_proof_either_way(rows: int, chance: float, prize: float, rare: int) -> None:
    """Where a rare prize decides, wrong claims of better or worse come in 5 % of the logs at most, drawn or not."""
    truth = (chance * prize - 1.0) * (1.0 if rare else -1.0)
    wrong = Verdict.WORSE if truth > 0.0 else Verdict.BETTER
    claims = []
    for seed in range(RUNS):
        found = evaluate(
            _log(seed, rows, chance, prize, rare),
            {"a": _always(rows, 1), NOTHING: _always(rows, 0)},
            intervals=Intervals(draws=seed % 2 * 100),
        )
        over = [found.difference("a", NOTHING, method) for method in (Method.IPS, Method.SNIPS, Method.DR)]
        claims += [one.verdict for one in over if one is not None]
    assert len(claims) == 3 * RUNS
    assert claims.count(wrong) <= 0.05 * len(claims)


def test_many_rare_outcomes_are_a_proof() -> None:
    """With enough customers the same prize is told: better, with an interval that holds the truth."""
    log = _log(1, 30_000, 0.02, 100.0, 1)
    over = evaluate(log, {"a": _always(30_000, 1), NOTHING: _always(30_000, 0)}).difference("a", NOTHING)
    assert over is not None
    assert (over.few, over.verdict) == ("", Verdict.BETTER)
    assert over.low <= 1.0 <= over.high


def test_the_gate_stays_shut_where_outcomes_are_too_few() -> None:
    """A value that rests on too few outcomes promotes nobody, and the words say so."""
    found = evaluate(_log(1, 150, 0.02, 100.0, 1), {"a": _always(150, 1), NOTHING: _always(150, 0)})
    own, other = (found.arm(name).values[Method.DR] for name in ("a", NOTHING))
    told = value_not_worse(found.difference("a", NOTHING), own, other, "", 10.0, "EUR")
    assert not told.passed
    assert "too few outcomes" in told.words
    assert (told.low, told.high) == (None, None)
