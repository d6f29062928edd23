"""Each rung as a caller sees it, and what holds on all of them: no offer without known consent."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import cast

import pytest

from models.propensity import Folded
from service import learning as learning_module
from service.core.adapting import Adapting, Learned
from service.core.adapting import Counts as Counted
from service.core.decision import Commit, Committed, Decision, Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.rungs import Rung, rung_of
from service.decide import Decider
from service.entropy import Entropy
from service.errors import StoreError
from service.learning import Learning
from service.store import keys
from service.telemetry import Counts
from tests.core.test_ladder import models
from tests.profile import cases
from tests.strategies import write_strategy

NOW_MS = 1_770_000_000_000
DAY_MS = 86_400_000
LEVELS = (None, "none", "service", "personal", "full", "a level of another strategy")
ALLOW_OFFERS = ("personal", "full")


class Weather:
    """A store in which everything may happen that a decision meets: it fails, is late, and knows what it likes."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.level: str | None = None
        self.read_ok = False

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return keys.fresh_decision_id(customer, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Know something of the customer, or fail."""
        self.read_ok = False
        if self._dice.random() < 0.2:
            raise StoreError("gone")
        self.read_ok, self.level = True, self._dice.choice(LEVELS)
        channels = ("email",) if self._dice.random() < 0.5 else ()
        counters = {"two-offers-a-week": (NOW_MS - DAY_MS,) * self._dice.choice((0, 1, 2))}
        groups = {letter: self._dice.randbytes(12) for letter in "spx"} if self._dice.random() < 0.2 else {}
        erased = self._dice.random() < 0.05
        return Known(NOW_MS, self.level, channels, groups, counters, erased=erased)

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Take the first candidates, or fail."""
        if self._dice.random() < 0.2:
            raise StoreError("gone")
        chosen = tuple(0 if candidates else -1 for candidates in commit.candidates)
        return Committed(commit.entry, commit.digest, chosen, (), repeated=False)


class Learns:
    """What was learned, from long ago or not."""

    learned: Learned | None = None

    def __init__(self, *, stale: bool) -> None:
        self.stale = stale


def plain(folder: Path) -> Engine:
    """Return the small strategy without a model, and without rules that forbid what is not known to be harmless."""
    return Engine(load_strategy(write_strategy(folder, guardrails=None, eligibility=None)), None)


def unfit(engine: Engine) -> Folded:
    """Return a model that was made for other features than the strategy's."""
    made = models(engine, 0.1)
    narrow = made.weights[:, :-1]
    return Folded(made.version, "", made.actions, narrow, made.bias, narrow, made.baseline_bias, made.has_baseline)


def asked(dice: random.Random) -> Request:
    """Ask anything that may be asked of the small strategy."""
    channel, placements = dice.choice((("web", ("greeting", "hero")), ("desk", ("offer",)), ("email", ("body",))))
    return Request(f"customer-{dice.randrange(50)}", channel, placements, {})


def sells(decision: Decision) -> bool:
    """Tell whether anything is sold."""
    return any(answer.kind == "offer" for answer in decision.answers)


async def test_without_known_consent_nothing_is_sold_on_any_rung(tmp_path: Path) -> None:
    """Random customers, a store that fails at random, models that fail, stale counts: consent is asked on each rung."""
    strategy = plain(tmp_path)
    engines = {
        "none": strategy,
        "good": Engine(strategy.strategy, models(strategy, 0.1)),
        "no number": Engine(strategy.strategy, models(strategy, float("nan"))),
        "unfit": Engine(strategy.strategy, unfit(strategy)),
    }
    met: dict[Rung, int] = dict.fromkeys(Rung, 0)
    sold = 0
    for seed in range(cases(1_500, 50_000)):
        dice = random.Random(seed)
        store, learns = Weather(dice), Learns(stale=dice.random() < 0.3)
        engine = engines[dice.choice(tuple(engines))]
        decider = Decider(engine, store, Entropy(), lambda: NOW_MS, learning=learns)
        decision = await decider.decide(asked(dice), dice.choice((0.001, 1.0)))
        rung = rung_of(decision.degraded)
        met[rung] += 1
        if sells(decision):
            sold += 1
            assert store.read_ok, seed
            assert store.level in ALLOW_OFFERS, seed
            assert rung is not Rung.REQUEST_ONLY, seed
            assert decision.decision_id, seed
    assert min(met.values()) > cases(30, 1_000), met
    assert sold > cases(30, 1_000)


@pytest.mark.parametrize("weight", [float("nan"), None], ids=["no number", "unfit"])
async def test_a_model_that_cannot_score_leaves_the_rules_and_priors(
    tmp_path: Path, weight: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is the one of the strategy's priors, under the same rules; it says so, and so do the counts."""
    strategy = plain(tmp_path)
    engine = Engine(strategy.strategy, unfit(strategy) if weight is None else models(strategy, weight))
    counts, dice = Counts(), Still()
    broken = Decider(engine, dice, no_dice, lambda: NOW_MS, counts=counts)
    request = Request("ada", "web", ("greeting", "hero"), {})
    decision = await broken.decide(request, 1.0)
    by_priors = await Decider(strategy, dice, no_dice, lambda: NOW_MS).decide(request, 1.0)
    assert [one.action for one in decision.answers] == [one.action for one in by_priors.answers]
    assert sells(decision)
    assert [reason.code for reason in decision.degraded] == [ReasonCode.MODEL_FAILED]
    assert decision.model == ""
    assert counts.told()["rungs"] == {"rules_and_priors": 1}
    assert counts.told()["degraded"] == {"model_failed": 1}
    assert "could not score" in caplog.text


def no_dice(size: int) -> bytes:
    """Return dice that never explore."""
    return bytes(12) + b"\xff" * (size - 12)


class Still(Weather):
    """Good weather: everything is known of somebody to whom anything may be offered."""

    def __init__(self) -> None:
        super().__init__(random.Random(0))

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Know that anything may be offered."""
        return Known(NOW_MS, "full", ("email",), {}, {})

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Take the first candidates."""
        chosen = tuple(0 if candidates else -1 for candidates in commit.candidates)
        return Committed(commit.entry, commit.digest, chosen, (), repeated=False)


async def test_what_was_learned_too_long_ago_is_said(tmp_path: Path) -> None:
    """With counts that cannot be read again the decision is made, with what was read last, and says so."""
    strategy = plain(tmp_path)
    engine, counts = Engine(strategy.strategy, models(strategy, 0.1)), Counts()
    decider = Decider(engine, Still(), no_dice, lambda: NOW_MS, learning=Learns(stale=True), counts=counts)
    decision = await decider.decide(Request("ada", "web", ("hero",), {}), 1.0)
    assert [reason.code for reason in decision.degraded] == [ReasonCode.SCORES_STALE]
    assert decision.decision_id
    assert counts.told()["rungs"] == {"stale_scores": 1}


class Failing:
    """Counts that can be read or not."""

    fails = True

    async def counted(self, scope: str, now_ms: int, deadline_s: float) -> Counted:
        """Tell them."""
        if self.fails:
            raise StoreError("gone")
        return {}


class Adapts:
    """As much of what adapts as is asked here."""

    def scope(self, model: str) -> str:
        """Name the counts."""
        return model


async def test_counts_are_stale_while_they_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once, but after the time they may take, until they are read again."""
    monkeypatch.setattr(learning_module, "STALE_S", 0.05)
    counts = Failing()
    learning = Learning(counts, cast(Adapting, Adapts()), "m", lambda: NOW_MS, again_s=0.01)
    learning.open()
    seen, ends = [learning.stale], time.monotonic() + 2.0
    while not learning.stale and time.monotonic() < ends:
        await asyncio.sleep(0.005)
        seen.append(learning.stale)
    counts.fails = False
    await learning.refresh()
    await learning.close()
    assert not any(seen[:3])
    assert seen[-1]
    assert not learning.stale


class Hangs(Still):
    """A store that reads after some time and never commits."""

    def __init__(self, reads_after_s: float) -> None:
        super().__init__()
        self._reads_after_s = reads_after_s
        self.began_s, self.waits_until_s = time.monotonic(), 0.0

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Read late."""
        self.waits_until_s = time.monotonic() + deadline_s
        if self._reads_after_s >= deadline_s:
            await asyncio.sleep(deadline_s)
            raise StoreError("no time")
        await asyncio.sleep(self._reads_after_s)
        return await super().read(customer, decision_id, deadline_s)

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Never commit."""
        self.waits_until_s = time.monotonic() + deadline_s
        await asyncio.sleep(max(0.0, deadline_s))
        raise StoreError("no time")


@pytest.mark.parametrize("reads_after_s", [0.0, 0.1, 0.3, 9.0])
async def test_both_calls_together_take_less_than_half_of_the_deadline(tmp_path: Path, reads_after_s: float) -> None:
    """Whenever the store begins to hang, half of the caller's time is left for the answer."""
    engine = plain(tmp_path)
    store = Hangs(reads_after_s)
    decision = await Decider(engine, store, no_dice, lambda: NOW_MS).decide(asked(random.Random(1)), 0.6)
    assert 0.0 < store.waits_until_s - store.began_s <= 0.48 * 0.6 + 0.01
    assert rung_of(decision.degraded) is Rung.REQUEST_ONLY
