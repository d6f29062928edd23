"""Claims about following a chain: what was done to it is found and located, and anchors find what it cannot tell."""

from __future__ import annotations

from dataclasses import replace

from service.core.chain_walk import Limits, Wrong
from service.core.chained import Link, Place, Raw, beginning, link_of
from tests.store.chained import STREAM, Copy, made, raw_of


def test_what_is_removed_inserted_swapped_or_copied_is_found() -> None:
    """At every place of a log: one or more entries gone, one that was not there, two in each other's place."""
    copy = made([bytes([n]) for n in range(8)])
    items = copy.items
    for at, item in enumerate(items):
        assert copy.having(at).wrong() == [(item.at, Wrong.MISSING)]
        assert [wrong for _, wrong in replace(copy, items=items[:at]).wrong()] == [Wrong.MISSING]
        between = Place(item.at.ms, item.at.number + 3) if at % 3 == 1 else Place(item.at.ms - 1, 9)
        forged = Raw(between, raw_of(item).fields)
        around = tuple(sorted((*items, forged), key=lambda one: one.at))
        assert replace(copy, items=around).wrong()[-1][0] in (between, items[0].at)
        unlinked = Raw(between, raw_of(item).fields[1:])
        wrong = replace(copy, items=tuple(sorted((*items, unlinked), key=lambda one: one.at))).wrong()
        assert wrong == ([] if between < items[0].at else [(between, Wrong.UNLINKED)])
        for other in range(at):
            a, b = raw_of(item), raw_of(items[other])
            swapped = copy.having(at, Raw(a.at, b.fields)).having(other, Raw(b.at, a.fields))
            assert {a.at, b.at} <= {place for place, _ in swapped.wrong()}


def test_a_chain_of_another_stream_is_no_chain_here() -> None:
    """Entries that were copied from another bucket, all of them with their links, vouch for nothing."""
    other = made([b"1", b"2"], b"tact:{0a4}:log")
    assert (other.items[1].at, Wrong.CHANGED) in replace(other, stream=STREAM).wrong()


def test_an_anchor_tells_what_the_chain_cannot() -> None:
    """A tail that was cut off with its head, and a chain that was written anew, are whole in themselves.

    Held against what was noted of them, both are found, at the entry that was noted; and a longer chain holds.
    """
    copy = made([bytes([n]) for n in range(8)])
    for at in range(1, 8):
        anchor = Link.parse(raw_of(copy.items[at]).link or b"")
        assert anchor is not None
        assert copy.found(Limits(anchor=anchor)).compared
        assert copy.wrong(Limits(anchor=anchor)) == []
        for cut in range(1, at):
            short = Copy(copy.stream, raw_of(copy.items[cut]).link or b"", copy.items[:cut])
            assert short.wrong() == []
            assert short.wrong(Limits(anchor=anchor)) == [(anchor.at, Wrong.CUT)]
        for spoilt in range(8):
            anew = made([bytes([n if n != spoilt else 99]) for n in range(8)])
            assert anew.wrong() == []
            assert anew.wrong(Limits(anchor=anchor)) == ([(anchor.at, Wrong.REWRITTEN)] if spoilt < at else [])
        nothing = Copy(copy.stream, b"", ())
        assert nothing.wrong(Limits(anchor=anchor)) == [(anchor.at, Wrong.CUT)]
        assert nothing.wrong(Limits(5_000, anchor=anchor)) == [], "it was too old by then"


def test_links_are_read_strictly() -> None:
    """A link is read as it is written, and nothing else is one."""
    link = beginning(STREAM)
    assert Link.parse(str(link).encode()) == link
    assert Link.parse(str(link).encode() + b" 17") == link._replace(dropped_ms=17)
    spoilt = (
        b"",
        b"x",
        str(link).encode()[1:],
        str(link).encode() + b" ",
        str(link).upper().encode(),
        b"g" * 40 + b"1-1",
    )
    assert [Link.parse(one) for one in spoilt] == [None] * len(spoilt)
    assert link_of(STREAM, Raw(Place(1, 1), ((b"i2", b""),))).digest == "", "no field has such a name"
