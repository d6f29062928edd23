"""What the store tells of a decision that was made: what was said to whom, and of what was known only what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from service.core import plan
from service.core.decision import Commit, Reason, ReasonCode, Take
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.records import OutcomeRecord
from service.core.validity import Issued
from service.store import keys
from service.store.connection import StoreReplied
from tests.folding import DETERMINISTIC
from tests.store.running import Running, running

NOW_MS = 1_790_000_000_123
_numbers = count()
_words = st.sampled_from(["", "hero", "é ✓", "a\x00b", "x" * 300])
_values = (
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53) | _words
    | st.lists(_words, max_size=3).map(tuple)
)  # fmt: skip
_candidates = st.lists(
    st.builds(Candidate, st.sampled_from(["a", "b", "c"]), st.floats(0, 1), st.none() | st.floats(0, 1),
              st.floats(-9, 9), st.floats(0, 1), st.booleans()),
    max_size=3,
).map(tuple)  # fmt: skip
_placements = st.lists(
    st.builds(PlacementPlan, _words, _candidates, st.integers(0, 300), st.booleans(), st.none()), max_size=3
).map(tuple)
_reasons = st.none() | st.just(Reason(ReasonCode.GUARDRAIL, "Helped, not sold to.", "rule", ("past.tier",)))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Draw the plan of a decision, with few or many fields of any kind."""
    customer = f"decided-{next(_numbers)}"
    decision_id = keys.fresh_decision_id(customer, draw(st.binary(min_size=12, max_size=12)))
    return Entry(
        decision_id=decision_id,
        customer=customer,
        channel=draw(_words),
        at_ms=NOW_MS,
        strategy="small@0123456789ab",
        model=draw(_words),
        level="full",
        degraded=(),
        asks=draw(_reasons),
        values=tuple(draw(st.lists(_values, max_size=12))) * draw(st.sampled_from([1, 1, 1, 3])),
        draws=(0.5,),
        placements=draw(_placements),
        takes=draw(st.sampled_from([(), (Take("a", "truck", "berlin", 1, 900_000),)])),
    )


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


def commit(store: Running, entry: Entry) -> tuple[tuple[str, str], ...]:
    """Commit a plan and return what was said, a placement."""
    ranked = tuple(tuple((candidate.action, ()) for candidate in placed.candidates) for placed in entry.placements)
    made = Commit(entry.customer, entry.decision_id, b"", NOW_MS, plan.pack(entry), ranked)
    chosen = store.wait(store.store.customers.commit(made)).chosen
    return tuple(
        (placed.placement, placed.candidates[rank].action if rank >= 0 else "")
        for placed, rank in zip(entry.placements, chosen, strict=True)
    )


@settings(DETERMINISTIC, max_examples=150)
@given(entries(), st.data())
def test_the_store_takes_every_log_entry_apart_as_it_was_put_together(
    store: Running, entry: Entry, data: st.DataObject
) -> None:
    """For any plan: who, where, when, by which strategy and consent, what was said; and the values asked for alone."""
    said = commit(store, entry)
    issued = store.wait(store.store.issued.issued(entry.decision_id))
    where = entry.customer, entry.channel, NOW_MS, entry.strategy
    assert issued == Issued(entry.decision_id, *where, said, (), entry.level)
    asked = data.draw(st.lists(st.integers(0, len(entry.values) + 1), unique=True, max_size=8))
    told = store.wait(store.store.issued.given(entry.decision_id, asked))
    known = {at: entry.values[at] for at in asked if at < len(entry.values) and entry.values[at] is not None}
    assert told == known
    assert {at: type(value) for at, value in told.items()} == {at: type(value) for at, value in known.items()}


def raw_reply(store: Running, function: str, decision_id: str, *asked: Any) -> bytes:  # noqa: ANN401 - any argument
    """Return all bytes that the store sends in answer."""
    place = keys.decision_key(decision_id), keys.log_key(decision_id[:3]), keys.outcomes_key(decision_id)
    reply = store.wait(
        store.store.calls.function(
            function, place, (decision_id, *asked), about=decision_id.encode(), length=8 if function == "issued" else 2,
            deadline_s=None,
        )
    )  # fmt: skip
    return repr(reply).encode()


def test_what_was_known_stays_in_the_store(store: Running) -> None:
    """Not a byte of a value that is not asked for is in what the store sends."""
    placed = PlacementPlan("hero", (Candidate("a", 0.5, None, 1.0, 1.0, False),), 1, False, None)
    entry = Entry(
        keys.fresh_decision_id("canary", b"c" * 12), "canary", "web", NOW_MS, "s@1", "", "full", (), None,
        ("forbidden-canary", "asked-canary", ("listed-canary",)), (0.5,), (placed,),
    )  # fmt: skip
    commit(store, entry)
    assert b"canary'" in raw_reply(store, "issued", entry.decision_id)
    assert b"-canary" not in raw_reply(store, "issued", entry.decision_id)
    told = raw_reply(store, "given", entry.decision_id, 1)
    assert b"asked-canary" in told
    assert b"forbidden" not in told
    assert b"listed" not in told


def test_what_came_of_a_decision_is_told_with_it(store: Running) -> None:
    """Each action comes with the kinds of its outcomes, once each; of other decisions there is nothing."""
    candidates = tuple(Candidate(action, 0.5, None, 1.0, 1.0, False) for action in ("a|b", "c"))
    placed = tuple(PlacementPlan(f"p{n}", (one,), 1, False, None) for n, one in enumerate(candidates))
    entry = Entry(
        keys.fresh_decision_id("told", b"t" * 12),
        "told",
        "web",
        NOW_MS,
        "s@1",
        "",
        "full",
        (),
        None,
        (),
        (0.5,),
        placed,
    )
    commit(store, entry)
    for action, kind in (("a|b", 4), ("c", 1), ("c", 6), ("c", 6), ("unsaid", 4)):
        store.wait(store.store.outcomes.record_outcome(OutcomeRecord(entry.decision_id, action, kind, None, 0.0)))
    issued = store.wait(store.store.issued.issued(entry.decision_id))
    assert issued is not None
    assert issued.outcomes == (("a|b", 4), ("c", 1), ("c", 6))
    assert [issued.declined(action) for action in ("a|b", "c", "unsaid", "")] == [True, True, False, False]


def test_a_decision_that_nobody_made_is_none(store: Running) -> None:
    """Of an unknown decision nothing is told, and that is no error."""
    decision_id = keys.fresh_decision_id("nobody", b"n" * 12)
    assert store.wait(store.store.issued.issued(decision_id)) is None
    assert store.wait(store.store.issued.given(decision_id, (0, 1))) == {}


def test_a_decision_whose_entry_is_gone_is_none(store: Running, store_url: str) -> None:
    """Where the log was trimmed, or the customer is being erased, the decision counts as unknown."""
    placed = PlacementPlan("hero", (Candidate("a", 0.5, None, 1.0, 1.0, False),), 1, False, None)
    entry = Entry(
        keys.fresh_decision_id("trimmed", b"t" * 12), "trimmed", "web", NOW_MS, "s@1", "", "full", (), None, (1,),
        (0.5,), (placed,),
    )  # fmt: skip
    commit(store, entry)
    with Redis.from_url(store_url) as raw:
        raw.xtrim(keys.log_key(keys.bucket("trimmed")), maxlen=0)
    assert store.wait(store.store.issued.issued(entry.decision_id)) is None
    assert store.wait(store.store.issued.given(entry.decision_id, (0,))) == {}


@pytest.mark.parametrize("entry", [b"", b"\xc1", b"text", b"\x80", b"\x9c\x01", plan.pack(None)])
def test_an_entry_that_cannot_be_read_is_an_error(store: Running, store_url: str, entry: bytes) -> None:
    """What something else spoilt is not taken for silence that stays valid."""
    decision_id = keys.fresh_decision_id("spoilt", next(_numbers).to_bytes(12, "big"))
    log = keys.log_key(keys.bucket("spoilt"))
    with Redis.from_url(store_url) as raw:
        at = raw.xadd(log, {"i": "spoilt", "e": entry, "c": b"\x91\x00", "b": b"\x90", "a": "a"})
        raw.set(keys.decision_key(decision_id), at + b" ")
    with pytest.raises(StoreReplied):
        store.wait(store.store.issued.issued(decision_id))
