"""Whole histories of events, shuffled and repeated, end as if each had come once and in the order of the times.

`TACT_HISTORIES` says how many are tried (default 120; 1,000 is the promise).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import isclose
from random import Random

import pytest

from models import folds
from models.context import FoldKind, Scalar
from service.core.records import ConsentRecord, EventFate, EventToFold
from tests.folding import START_MS, WINDOW_MS, Happening, drawn, fields, folded, plain_values
from tests.store.running import Running, running

HISTORIES = int(os.environ.get("TACT_HISTORIES", "60"))
KEEP = 256
NOW_MS = START_MS + 72 * WINDOW_MS


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


def test_every_history_ends_as_the_plain_model_says(store: Running) -> None:
    """Shuffled, repeated and in batches of any size, 100 % of the histories equal the in-order model."""
    unlike = [seed for seed in range(HISTORIES) if not is_alike(store, seed)]
    assert unlike == []


def is_alike(store: Running, seed: int) -> bool:
    """Replay one history in disorder; tell whether states and values are those of the order of the times."""
    dice = Random(seed)
    history, customer = drawn(dice), f"history-{seed}"
    fates = replay(store, customer, history, dice)
    states = store.states(customer)
    in_order = folded(sorted(history, key=lambda event: event.t_ms), KEEP, KEEP)
    said = [folds.value(field, states[field.key], NOW_MS) for field in fields(KEEP)]
    plain = plain_values(history, NOW_MS)
    once = fates.count(EventFate.STORED) == len(history)
    return once and states == in_order and all(map(same, said, plain, [field.fold for field in fields(KEEP)]))


def replay(store: Running, customer: str, history: list[Happening], dice: Random) -> list[EventFate]:
    """Send each event once and some again, in any order and in batches of any size; return their fates."""
    arriving = [*history, *dice.choices(history, k=dice.randint(0, len(history)))]
    dice.shuffle(arriving)
    store.wait(store.store.consents.set_consent(customer, ConsentRecord("full", (), 1, "test")))
    fates: list[EventFate] = []
    while arriving:
        size = dice.randint(1, 12)
        part, arriving = arriving[:size], arriving[size:]
        to_fold = [EventToFold(event.event_id, event.t_ms, event.operations(KEEP, KEEP)) for event in part]
        fates += store.wait(store.store.events.fold(customer, to_fold))
    return fates


def same(said: Scalar | None, plain: Scalar | None, fold: object) -> bool:
    """Compare exactly, but for a decaying amount: it is kept in millionths, and the plain model rounds as it adds."""
    if getattr(fold, "kind", None) is FoldKind.DECAY:
        return isinstance(said, float) and isinstance(plain, float) and isclose(said, plain, rel_tol=1e-9, abs_tol=1e-4)
    return said == plain and type(said) is type(plain)
