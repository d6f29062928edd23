"""Commands that are put together by hand are those that the general way of packing gives."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from service.core.decision import Commit, Counting
from service.core.memory import Give
from service.store.connection import pack
from service.store.reading import Committing

KEPT_MS = (63_072_000_000, 1_209_600_000, 7_776_000_000)
PLACES = (b"tact:{0a3}:c:anna", b"tact:{0a3}:log", b"tact:{0a3}:d:0a3", b"tact:{0a3}:x", b"tact:{0a3}:w")
NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable())


@given(
    customer=NAMES,
    asked=st.just("") | NAMES,
    parts=st.tuples(st.binary(max_size=8), st.binary(max_size=300), st.binary(max_size=60), st.binary(max_size=16)),
    moments=st.tuples(st.integers(0, 2**53), st.integers(0, 2**53)),
    candidates=st.lists(st.binary(max_size=80), max_size=4),
    memory=st.none() | st.integers(0, 2**31),
    channel=st.just("") | NAMES,
    ends=st.just(0) | st.integers(0, 2**53),
    counting=st.none()
    | st.builds(
        Counting,
        NAMES,
        st.integers(2, 3),
        st.integers(1, 2**40),
        st.integers(1, 2**40),
        st.tuples(st.tuples(NAMES, NAMES, st.floats(0, 1))),
    ),
    gives=st.lists(st.builds(Give, NAMES, NAMES, st.integers(0, 2**53), st.binary(max_size=8)), max_size=2).map(tuple),
)
def test_a_commit_is_packed_as_any_command(
    customer: str,
    asked: str,
    parts: tuple[bytes, bytes, bytes, bytes],
    moments: tuple[int, int],
    candidates: list[bytes],
    memory: int | None,
    channel: str,
    ends: int,
    counting: Counting | None,
    gives: tuple[Give, ...],
) -> None:
    """The commit that is packed by hand has the bytes of the same command packed in general, whatever is in it."""
    digest, entry, consent, erased = parts
    commit = Commit(customer, "0a3" + "0" * 23, digest, moments[0], entry, (), moments[1], (), asked, consent)
    commit = replace(commit, memory=memory, channel=channel, gives=gives, not_after_ms=ends, counting=counting)
    told = [[give.action, give.key, give.until_ms, give.facts.hex()] for give in gives]
    nothing = memory is None and not channel and not gives
    remembered = b"" if nothing else msgspec.msgpack.encode([False if memory is None else memory, channel, told])
    counted = msgspec.msgpack.encode(_rows(counting)) if counting else b""
    places = (*PLACES, b"tact:{0a3}:q") if counting else PLACES
    packed = Committing.of("tact_commit_1", KEPT_MS).packed(places, commit, erased, candidates)
    assert packed == pack(
        "FCALL", "tact_commit_1", len(places), *places, customer, moments[0], digest, entry, *KEPT_MS, erased,
        moments[1], asked or customer, consent, remembered, ends, counted, *candidates,
    )  # fmt: skip


def _rows(counting: Counting) -> list[object]:
    rows = {action: [f"{counting.scope}\x1f{action}\x1f{segment}", often] for action, segment, often in counting.rows}
    return [counting.on, counting.within_ms, counting.half_life_ms, rows]
