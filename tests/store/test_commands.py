"""Claims about the compiled side of a decision's two calls: it gives what its twin in Python gives, to the byte."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from random import Random
from string import ascii_lowercase
from typing import Any, TypeAlias

import msgspec
import pytest
from msgspec.structs import replace

from service.core.decision import Commit, Counter, Known
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Contact, Memory
from service.errors import MemoryChanged
from service.store import keys, reading, replies
from service.store.calls import Calls
from service.store.connection import Connections
from service.store.customers import CustomerStore
from service.store.reading import Committing, Reading, compiled_committing, compiled_reading
from service.store.replies import Replies, compiled_reader, compiled_settler
from service.store.retention import Retention
from service.store.suppression import Suppression
from tests.store.spoiling import CUSTOMER, KEY, LEVELS, NAMES, NOW_MS, a_commit, a_read, a_settlement, spoiled
from tests.store.test_customers import a_commit as a_decision
from tests.store.test_customers import fill, opened, raw_store

CASES = int(os.environ.get("TACT_COMMANDS", "1500"))
if not reading.COMPILED and shutil.which("cc") is None:
    pytest.skip("there is no C compiler here, so only the twin is in use", allow_module_level=True)

COMMITTING = Committing.of("tact_commit_1", (63_072_000_000, 1_209_600_000, 7_776_000_000))
READING = Reading.of("tact_read_1", LEVELS, "none")
CALLS = Calls(Connections("redis://127.0.0.1:1"))
REPLIES = Replies(CALLS, LEVELS, "none")
_pack = msgspec.msgpack.encode
Call: TypeAlias = Callable[..., Any]


def outcome(call: Call, *arguments: object) -> tuple[str, object]:
    """Return what a call returns, or what it raises, with all types of it."""
    try:
        return "returned", repr(call(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever it is, both sides must raise it
        return type(error).__name__, str(error)


def same(twin: Call, usual: Call, served: Call, *arguments: object) -> bool:
    """See that what serves does as the twin does; tell whether that was done without it."""
    wanted = outcome(twin, *arguments)
    assert outcome(served, *arguments) == wanted
    made = usual(*arguments)
    assert made is None or wanted == ("returned", repr(made))
    return made is not None


def one_spoiled(random: Random, arguments: Sequence[object]) -> tuple[object, ...]:
    """Return arguments of which one is spoiled."""
    at = random.randrange(len(arguments))
    return *arguments[:at], spoiled(random, arguments[at]), *arguments[at + 1 :]


def test_commands_and_replies_are_the_twins() -> None:
    """Whatever is read or committed and whatever the store answers, spoiled or not: the same bytes, values and errors.

    Most of what comes whole is done without the twin.
    """
    random = Random(5)
    reader, settler = compiled_reader(REPLIES), compiled_settler(REPLIES)
    committing = compiled_committing(COMMITTING)
    commit = a_commit(random)
    kinds: tuple[tuple[Call, Call, Call, Callable[[], tuple[object, ...]]], ...] = (
        (COMMITTING.packed, committing.usual, committing.packed, lambda: (a_commit(random), random.randbytes(16))),
        (REPLIES.known, reader.usual, reader.known, lambda: (CUSTOMER, a_read(random))),
        (REPLIES.committed, settler.usual, settler.committed, lambda: (commit, KEY, a_settlement(random))),
    )
    for twin, usual, served, made in kinds:
        without = sum(same(twin, usual, served, *made()) for _ in range(CASES // 4))
        assert without > CASES / 4 * 0.4, f"{twin}: only {without} were usual"
        for _ in range(CASES // 4):
            same(twin, usual, served, *one_spoiled(random, made()))


def test_reads_are_packed_as_the_twin_packs_them() -> None:
    """Any customer, digest and decision id give the same command or error; those of a real read without the twin."""
    random, packer = Random(6), compiled_reading(READING)
    for _ in range(CASES // 4):
        customer = random.choice(NAMES) + str(random.random())
        decision = random.choice((None, keys.fresh_decision_id(customer, random.randbytes(12))))
        arguments = (customer, random.randbytes(16), decision)
        assert same(READING.packed, packer.usual, packer.packed, *arguments)
        same(READING.packed, packer.usual, packer.packed, *one_spoiled(random, arguments))


def test_decisions_are_named_as_the_twin_names_them() -> None:
    """Every id of a decision is the same, and so is the error for too few random bytes."""
    random = Random(7)
    for size in (*[12] * 300, 0, 11, 13):
        customer, entropy = random.choice(NAMES) + str(random.random()), random.randbytes(size)
        named = outcome(keys.fresh_decision_id, customer, entropy)
        assert named == outcome(keys.plainly_fresh_decision_id, customer, entropy)
        assert named[0] == ("returned" if size == 12 else "ValueError")
    assert outcome(keys.fresh_decision_id, "\ud800", b"x" * 12)[0] == "UnicodeEncodeError"


CONTACT = _pack(("web", NOW_MS, ["a"]))
CONSENT = _pack(("full", ["email"], NOW_MS, "web form", NOW_MS))
REMEMBERED = [None, 0, None, [b"3", None, None, None, CONTACT, None]]


@pytest.mark.parametrize("rare", [None, REMEMBERED], ids=["a new customer", "a customer who was told something"])
def test_the_usual_reply_is_read_without_the_twin(rare: list[object] | None) -> None:
    """A customer with a consent, states, uses of caps, and at most a latest contact, is the usual one."""
    told = [CUSTOMER.encode(), NOW_MS, CONSENT, b"spf", _pack({"c": [1, 2]}), rare, b"states", None, b"more"]
    remembered = Memory(last=Contact("web", NOW_MS, ("a",)), version=3) if rare else NOTHING_REMEMBERED
    known = compiled_reader(REPLIES).usual(CUSTOMER, told)
    assert compiled_reader(REPLIES).usual(CUSTOMER, [*told[:3], ascii_lowercase.encode(), *told[4:6], *[b"s"] * 26])
    assert known == Known(
        NOW_MS, "full", ("email",), {"s": b"states", "f": b"more"}, {"c": (1, 2)}, consent=CONSENT, memory=remembered
    )
    assert known.off is NOTHING_OFF
    assert rare or known.memory is NOTHING_REMEMBERED


@pytest.mark.parametrize(
    ("origin", "usual"),
    [("", True), ("10.0.0.7", True), ("Büro", False), (7, False)],
    ids=["none", "host", "text", "number"],
)
def test_where_a_consent_came_from_is_passed_over(origin: object, usual: bool) -> None:
    """A consent with the host that told it is read as any, and one that is unusual as the twin reads it."""
    consent = _pack(("full", ["email"], NOW_MS, "web form", NOW_MS, origin))
    told = [CUSTOMER.encode(), NOW_MS, consent, b"spf", None, None, b"states", None, b"more"]
    served = compiled_reader(REPLIES)
    assert same(REPLIES.known, served.usual, served.known, CUSTOMER, told) is usual


def test_the_usual_commit_is_packed_and_settled_without_the_twin() -> None:
    """Candidates with caps, a memory and a channel are usual, and so is that one of them was taken."""
    counters = (Counter("c", 2, 1_000), Counter("d", 1, 2_000, 3, 4, 5, 2))
    decision = keys.repeatable_decision_id(CUSTOMER, "k")
    commit = Commit(
        CUSTOMER, decision, b"digest", NOW_MS, b"entry", ((("a", counters),),), memory=3, channel="web", consent=CONSENT
    )
    assert compiled_committing(COMMITTING).usual(commit, b"x" * 16) == COMMITTING.packed(commit, b"x" * 16)
    reply = [KEY, 0, _pack((0, -1)), _pack(()), None]
    assert compiled_settler(REPLIES).usual(commit, KEY, reply) == REPLIES.committed(commit, KEY, reply)


def test_what_serves_is_compiled() -> None:
    """A store of customers that is put together as a service does it packs and reads with what is compiled."""
    assert reading.COMPILED
    store = CustomerStore(CALLS, LEVELS, "none", Retention(), Suppression(b"k" * 32))
    used = (store._read_packed, store._commit_packed, store._known, store._committed)
    assert {type(one).__name__ for one in used} == {"builtin_function_or_method"}


def test_more_levels_than_are_compiled_are_known() -> None:
    """Levels of consent beyond the sixteenth are read as the others are."""
    many = Replies(CALLS, {"none": ""} | {f"level-{number}": "sp" for number in range(40)}, "none")
    for number in (0, 14, 15, 39):
        consent = _pack((f"level-{number}", [], NOW_MS, ""))
        told = [CUSTOMER.encode(), NOW_MS, consent, b"s", None, None, b"states"]
        assert compiled_reader(many).known(CUSTOMER, told) == many.known(CUSTOMER, told)
        assert (compiled_reader(many).usual(CUSTOMER, told) is None) is (number >= 15)  # the first of them is "none"
        assert many.known(CUSTOMER, told).groups == {"s": b"states"}


def test_nothing_is_kept_of_what_was_packed_and_read() -> None:
    """After thousands of calls, whole and spoiled, nothing of them is left in memory, and no count is wrong."""
    reader, settler, packer = compiled_reader(REPLIES), compiled_settler(REPLIES), compiled_committing(COMMITTING)
    random = Random(8)
    commits = [a_commit(random) for _ in range(20)]
    reads = [a_read(random) for _ in range(40)]
    reads += [spoiled(random, read) for read in reads]
    settled = [a_settlement(random) for _ in range(20)]
    settled += [spoiled(random, one) for one in settled]
    shared = (chr(115), 0, NOTHING_OFF, NOTHING_REMEMBERED, REMEMBERED, CONTACT, *commits, *commits[0].candidates)

    def once() -> None:
        for commit in commits:
            packer.usual(commit, b"x" * 16)
            for reply in settled:
                settler.usual(commit, KEY, reply)
        for read in reads:
            reader.usual(CUSTOMER, read)
            compiled_reading(READING).usual(CUSTOMER, b"x" * 16, None)

    once()
    gc.collect()
    counts = [sys.getrefcount(one) for one in shared]
    tracemalloc.start()
    try:
        once()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            once()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 2_000
    assert [sys.getrefcount(one) for one in shared] == counts


def test_what_is_compiled_goes_with_who_used_it() -> None:
    """Twins that hold what is compiled in turn are collected together with it."""

    class Owner:
        def __init__(self) -> None:
            self.packed = reading._COMMANDS.Reading(self.twin, *[b""] * 7).packed

        def twin(self, *_: object) -> bytes:
            return b""

    gc.collect()
    before = sum(type(one) is Owner for one in gc.get_objects())
    for _ in range(3):
        assert Owner().packed(1, b"", None) == b""
    gc.collect()
    assert sum(type(one) is Owner for one in gc.get_objects()) == before


def test_wrong_arguments_are_refused() -> None:
    """What is put together wrongly says so, and crashes nothing."""
    compiled = reading._COMMANDS
    read, packer = compiled.Reading, compiled_reading(READING)
    calls: tuple[Callable[[], object], ...] = (
        lambda: read(None, *[b"@@@" * 9] * 7),
        lambda: read(None, *[1] * 7),
        lambda: compiled.Committing(None, None, 1, 2, *[b""] * 7),
        lambda: compiled.Reader(None, (1,), "", 26, *[None] * 7),
        lambda: compiled.Settler(None, 7, 7, 7),
        lambda: packer.packed(1),
    )
    for call in calls:
        with pytest.raises((TypeError, ValueError)):
            call()


def test_structs_that_are_kept_otherwise_are_left_to_the_twin() -> None:
    """Fields that are no slots are not looked for in memory."""

    class Plain:
        entry = digest = b""

    plain = reading._COMMANDS.Settler(REPLIES.committed, Plain, lambda *parts: parts, NOTHING_OFF)
    assert plain.usual(Plain(), KEY, [KEY, 0, _pack((0,)), _pack(()), None]) is None


async def test_what_the_store_answers_is_usual(clean_store_url: str) -> None:
    """Customers of whom nothing, or much, is known are read without the twin, and so is what was committed for one."""
    async with opened(clean_store_url) as store:
        commit = replace(await fill(store, "anna"), channel="web", memory=0)
        commit = replace(commit, decision_id=keys.repeatable_decision_id("anna", "again"))
        reader, settler = (make(Replies(store.calls, LEVELS, "none")) for make in (compiled_reader, compiled_settler))
        key, packed = Committing.of(store.calls.functions.name("commit"), (10**9,) * 3).packed(commit, b"")
        done = settler.usual(commit, key, await store.calls.send(packed))
        assert (done.chosen, done.entry) == ((0,), commit.entry)
        for customer, letters in (("anna", {"s"}), ("nobody", set())):
            packed = Reading.of(store.calls.functions.name("read"), LEVELS, "none").packed(customer, b"")
            known = reader.usual(customer, await store.calls.send(packed))
            assert set(known.groups) == letters
            assert known == replace(await store.customers.read(customer, None), now_ms=known.now_ms)
            assert (known.memory is NOTHING_REMEMBERED) is (customer == "nobody")


async def test_a_commit_that_waited_for_the_functions_is_refused_in_the_same_words(clean_store_url: str) -> None:
    """What the store refuses once its functions are back means what it means at any other time."""
    async with opened(clean_store_url) as store:
        raw_store(clean_store_url).function_flush()
        with pytest.raises(MemoryChanged):
            await store.customers.commit(replace(a_decision("anna"), memory=5))


def test_without_a_compiler_the_twins_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is compiled, commands and replies are those of the twins."""
    for module in (reading, replies):
        monkeypatch.setattr(module, "_COMMANDS", None)
    assert reading.read_packer(READING) == READING.packed
    assert reading.commit_packer(COMMITTING) == COMMITTING.packed
    assert replies.reply_reader(REPLIES) == REPLIES.known
    assert replies.commit_reader(REPLIES) == REPLIES.committed
