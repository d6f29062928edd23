"""Commands that are put together by hand are those that the general way of packing gives."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from service.core.decision import Commit, Counter, Counting
from service.core.memory import Give
from service.store import keys
from service.store.connection import pack
from service.store.reading import Committing, Reading, commit_packer, read_packer
from tests.folding import DETERMINISTIC

Candidates = tuple[tuple[tuple[str, tuple[Counter, ...]], ...], ...]

KEPT_MS = (63_072_000_000, 1_209_600_000, 7_776_000_000)
NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable())
MS = st.integers(0, 2**53)
COUNTERS = st.builds(Counter, NAMES, st.integers(0, 99), MS, st.just(0) | MS, st.just(0) | MS, st.just(0) | MS)
CANDIDATES = st.lists(st.lists(st.tuples(NAMES, st.lists(COUNTERS, max_size=3).map(tuple)), max_size=3).map(tuple))


@DETERMINISTIC
@given(
    customer=NAMES,
    asked=st.just("") | NAMES,
    parts=st.tuples(st.binary(max_size=8), st.binary(max_size=300), st.binary(max_size=60), st.binary(max_size=16)),
    moments=st.tuples(MS, MS),
    candidates=CANDIDATES.map(tuple),
    memory=st.none() | st.integers(0, 2**31),
    channel=st.just("") | NAMES,
    ends=st.just(0) | MS,
    counting=st.none()
    | st.builds(
        Counting,
        NAMES,
        st.integers(2, 3),
        st.integers(1, 2**40),
        st.integers(1, 2**40),
        st.tuples(st.tuples(NAMES, NAMES, st.floats(0, 1))),
    ),
    gives=st.lists(st.builds(Give, NAMES, NAMES, MS, st.binary(max_size=8)), max_size=2).map(tuple),
)
def test_a_commit_is_packed_as_any_command(
    customer: str,
    asked: str,
    parts: tuple[bytes, bytes, bytes, bytes],
    moments: tuple[int, int],
    candidates: Candidates,
    memory: int | None,
    channel: str,
    ends: int,
    counting: Counting | None,
    gives: tuple[Give, ...],
) -> None:
    """The commit that is packed by hand has the bytes of the same command packed in general, whatever is in it."""
    digest, entry, consent, erased = parts
    decision, bucket = keys.repeatable_decision_id(customer, "k"), keys.bucket(customer)
    commit = Commit(customer, decision, digest, moments[0], entry, candidates, moments[1], (), asked, consent)
    commit = replace(commit, memory=memory, channel=channel, gives=gives, not_after_ms=ends, counting=counting)
    given = [[give.action, give.key, give.until_ms, give.facts.hex()] for give in gives]
    nothing = memory is None and not channel and not gives
    remembered = False if nothing else [False if memory is None else memory, channel, given]
    alias = asked if asked != customer else ""
    told = [moments[0], moments[1], ends, alias, remembered, _rows(counting) if counting else False]
    places = [keys.context_key(customer), keys.log_key(bucket), keys.decision_key(decision)]
    places += [keys.suppression_key(bucket), keys.switch_key(bucket), keys.head_key(keys.log_key(bucket))]
    places.append(keys.heard_key(customer))
    if counting:
        places.append(keys.counts_key(bucket))
    kept = b"63072000000 1209600000 7776000000 7768224000"
    rows = [b"".join(msgspec.msgpack.encode(_flat(*one)) for one in placed) for placed in candidates]
    committing = Committing.of("tact_commit_1", KEPT_MS)
    wanted = pack(
        "FCALL", "tact_commit_1", len(places), *places, customer, entry, digest, erased, consent, kept,
        msgspec.msgpack.encode(told), sha256(entry).digest(), *rows,
    )  # fmt: skip
    assert committing.packed(commit, erased) == (places[2], wanted)
    assert commit_packer(committing)(commit, erased) == (places[2], wanted)


@DETERMINISTIC
@given(NAMES, st.binary(max_size=16), st.booleans())
def test_a_read_is_packed_as_any_command(customer: str, erased: bytes, keyed: bool) -> None:
    """The read that is packed by hand has the bytes of the same command packed in general, whatever is asked."""
    decision = keys.repeatable_decision_id(customer, "k") if keyed else None
    bucket, levels = keys.bucket(customer), {"none": "", "full": "spf"}
    places = [keys.context_key(customer), keys.suppression_key(bucket), keys.switch_key(bucket)]
    if decision:
        places += [keys.decision_key(decision), keys.log_key(bucket)]
    allowed = msgspec.msgpack.encode(["", levels])
    reading = Reading.of("tact_read_1", levels, "none")
    wanted = pack("FCALL_RO", "tact_read_1", len(places), *places, customer, erased, allowed)
    assert reading.packed(customer, erased, decision) == wanted
    assert read_packer(reading)(customer, erased, decision) == wanted


def test_a_log_is_kept_for_as_long_as_its_decisions() -> None:
    """The log is renewed when a thousandth of its time has passed, and sooner where a decision would outlive it."""
    kept = [Committing.of("f", (9_000, decision, 5_000)).kept for decision in (1_000, 4_996, 5_000)]
    assert [int(one.split()[-1]) for one in kept] == [4_995, 4_996, 5_000]


def test_a_decision_of_another_bucket_is_not_asked_for() -> None:
    """Keys of two buckets cannot be touched at once, so such a read, or commit, is a mistake of the caller."""
    reading, other = Reading.of("f", {"none": ""}, "none"), keys.repeatable_decision_id("bob", "k")
    for packed in (reading.packed, read_packer(reading)):
        with pytest.raises(ValueError, match="another bucket"):
            packed("anna", b"", other)
    committing = Committing.of("f", KEPT_MS)
    for committed in (committing.packed, commit_packer(committing)):
        with pytest.raises(ValueError, match="another bucket"):
            committed(Commit("anna", other, b"", 1, b"entry", ()), b"")


def _flat(action: str, counters: tuple[Counter, ...]) -> list[object]:
    """Return a candidate as the store takes it: three values a counter, or seven where one of them has more."""
    rows = [[one.key, one.at_most, one.within_ms, one.since_ms, one.frees_ms, one.hold_ms, one.on] for one in counters]
    size = 7 if any(any(row[3:]) for row in rows) else 3
    return [action, size, *(value for row in rows for value in row[:size])]


def _rows(counting: Counting) -> list[object]:
    rows = {action: [f"{counting.scope}\x1f{action}\x1f{segment}", often] for action, segment, often in counting.rows}
    return [counting.on, counting.within_ms, counting.half_life_ms, rows]
