"""Claims about answers that are put together as bytes: they are those of the contract's own messages."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from service.core.decision import Answer, Decision, Reason, ReasonCode
from service.core.explained import Explanation
from service.core.rules import Kind
from service.rpc import answer_bytes, answer_plainly
from service.rpc.answer_bytes import AnswerBytes, packing
from service.rpc.answer_plainly import Plainly
from service.rpc.convert_answer import answer_of
from tests.rpc.world import strategy

SCHEMA = strategy().schema
PACKS, PLAINLY = AnswerBytes(SCHEMA), Plainly(SCHEMA)
compiled_only = pytest.mark.skipif(
    not answer_bytes.COMPILED and shutil.which("cc") is None,
    reason="there is no C compiler here, so only the twin is in use",
)


def texts(most: int = 12) -> st.SearchStrategy[str]:
    """Draw texts: none, some of one to four bytes a character, and some of more bytes than one digit of a length."""
    return st.one_of(st.text(max_size=most), st.sampled_from(["", "é" * 70, "x" * 127, "x" * 128, "ツ" * 6_000]))


def moments() -> st.SearchStrategy[int]:
    """Draw milliseconds since 1970, round ones and those before 1970 included."""
    return st.one_of(st.integers(-(10**13), 10**14), st.sampled_from([0, 1, 1000, -1, -1000, 1_790_000_000_000]))


REASONS = st.builds(
    Reason,
    st.sampled_from(ReasonCode),
    texts(),
    texts(),
    st.lists(texts(), max_size=3).map(tuple),
    st.none() | moments(),
)
ANSWERS = st.builds(
    Answer,
    texts(),
    st.one_of(st.just(""), texts()),
    st.sampled_from([kind.value for kind in Kind]),
    texts(),
    st.lists(texts(), max_size=3).map(tuple),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False),
    st.lists(REASONS, max_size=3).map(tuple),
    texts(),
    st.none() | moments(),
)


DECISIONS = st.builds(
    Decision,
    texts(),
    st.lists(ANSWERS, max_size=3).map(tuple),
    texts(),
    texts(),
    moments(),
    st.lists(REASONS, max_size=2).map(tuple),
    st.none() | st.just(Explanation((), (), "full")),
)
REASON = Reason(ReasonCode.GUARDRAIL, "No.", "a-rule", ("past.spend", "past.ärger"), 7)
ANSWER = Answer("hero", "action-1", Kind.OFFER.value, "Buy now.", ("sell", ""), 0.25, -0.0, (REASON, REASON))
DECIDED = Decision("d", (ANSWER, ANSWER), "small@1", "model@1", 1_790_000_000_123, (REASON,))


def not_asked(decision: Decision, request_id: str) -> bytes:
    """Stand where the twin is asked, and is not to be."""
    raise AssertionError(f"the twin was asked for {decision}")


@settings(max_examples=int(os.environ.get("TACT_ANSWERS", "150")), deadline=None)
@given(DECISIONS, texts())
def test_the_bytes_are_those_of_the_message(decision: Decision, request_id: str) -> None:
    """Whatever was decided, the bytes are the same as those of the message that is filled field by field."""
    wanted = answer_of(decision, request_id, SCHEMA).SerializeToString(deterministic=True)
    for packs in (PACKS, PLAINLY, Plainly(SCHEMA)):  # with what it has seen before, and for the first time
        assert packs.of(decision, request_id) == wanted
    if answer_bytes.COMPILED and decision.explanation is None:
        assert packing(not_asked)(decision, request_id) == wanted


@compiled_only
def test_where_there_is_a_compiler_it_is_compiled() -> None:
    """An installation on a machine with a compiler packs answers in one step."""
    assert answer_bytes.COMPILED


@compiled_only
def test_every_length_is_written_as_it_is() -> None:
    """Where a length takes a digit more, and where the room for the answer does not suffice, nothing is amiss."""
    for size in (0, 1, 120, 127, 128, 129, 4_000, 4_096, 5_000, 16_383, 16_384, 70_000, 2_097_152):
        reason = replace(REASON, sentence="s" * size, fields=("f" * (size // 2),) * 2)
        answer = replace(ANSWER, text="é" * (size // 2), reasons=(reason,) * 3)
        decision = replace(DECIDED, answers=(answer, answer), model="m" * size)
        assert packing(not_asked)(decision, "r") == answer_of(decision, "r", SCHEMA).SerializeToString()


def outcome(packs: Callable[[Any, Any], bytes], decision: object, request_id: object) -> object:
    """Return the bytes, or the kind of error."""
    try:
        return packs(decision, request_id)
    except Exception as error:  # noqa: BLE001  # both must fail alike, whatever it is
        return type(error)


class Lettered(str):
    """A text of another class."""

    __slots__ = ()


ODD: tuple[object, ...] = (
    "", "\ud800", b"bytes", Lettered("text"), 0, 1, -1, 5, 200, 2**63, -(2**70), True, 0.5, 5.0, None, (), (1,), [],
    [REASON], (REASON,), (ANSWER,), ("\udfff",), ReasonCode.INSTEAD, Kind.GREETING, Kind.OFFER, ANSWER, REASON,
)  # fmt: skip


@pytest.mark.parametrize("struct", [DECIDED, ANSWER, REASON], ids=["decision", "answer", "reason"])
def test_what_is_unusual_is_left_to_the_twin(struct: Decision | Answer | Reason) -> None:
    """A field of another type than usual, or a text that cannot be encoded, gives the twin's bytes or its error."""
    for name in struct.__struct_fields__:
        for odd in ODD:
            spoiled: Any = replace(struct, **{name: odd})
            if isinstance(spoiled, Reason):
                spoiled = replace(ANSWER, reasons=(REASON, spoiled))
            if isinstance(spoiled, Answer):
                spoiled = replace(DECIDED, answers=(ANSWER, spoiled))
            for request_id in ("r", odd):
                assert outcome(PACKS.of, spoiled, request_id) == outcome(PLAINLY.of, spoiled, request_id), (name, odd)
    for odd in ODD:
        assert outcome(PACKS.of, odd, "r") == outcome(PLAINLY.of, odd, "r")


@compiled_only
def test_an_answer_that_says_nothing_is_packed_at_once() -> None:
    """Suppressions, greetings and messages, with and without an end, never need the twin; explanations do."""
    for end in (None, 0, -1, -1000, 999, 1_000, 1_790_000_000_123):
        for action, kind in (("", ""), ("hello", Kind.GREETING.value), ("read", Kind.MESSAGE.value)):
            answer = replace(ANSWER, action=action, kind=kind, held_back="action-2", until_ms=end, reasons=())
            decision = replace(DECIDED, answers=(answer,), at_ms=end or 0, degraded=())
            assert packing(not_asked)(decision, "") == answer_of(decision, "", SCHEMA).SerializeToString()
    with pytest.raises(AssertionError, match="the twin was asked"):
        packing(not_asked)(replace(DECIDED, explanation=Explanation((), (), "full")), "")


@compiled_only
def test_nothing_is_kept_of_what_was_packed() -> None:
    """However often an answer is packed, or cannot be, no object is held for longer than it is used."""
    packs, spoiled = packing(PLAINLY.of), replace(DECIDED, model="\ud800")
    objects: list[object] = [DECIDED, ANSWER, REASON, spoiled, *REASON.fields, REASON.sentence, ANSWER.text]
    before = [sys.getrefcount(one) for one in objects]
    for _ in range(500):
        packs(DECIDED, "r")
        with pytest.raises(UnicodeEncodeError):
            packs(spoiled, "r")
    assert [sys.getrefcount(one) for one in objects] == before


@compiled_only
def test_what_packs_refuses_other_arguments() -> None:
    """Made of anything but what it needs, it says so; an object that was not made packs nothing."""
    made = answer_bytes._compiled.Packing
    arguments: list[tuple[Any, ...]] = [(), ((), (), "", "", 0), ((1, 2, 3), (), "", "", 0), ((), ("a",), "", "", 0)]
    for wrong in arguments:
        with pytest.raises(TypeError):
            made(*wrong)
    blank = made.__new__(made)
    with pytest.raises(TypeError):
        blank.of(DECIDED, "r")
    with pytest.raises(TypeError):
        packing(not_asked)(DECIDED)  # type: ignore[call-arg]  # which is wrong


def test_what_is_kept_is_bounded() -> None:
    """Texts that differ with every customer do not pile up."""
    packs = Plainly(SCHEMA)
    for number in range(3 * answer_plainly._MOST):
        answer = Answer("hero", "hello", Kind.OFFER.value, f"Good day, {number}", (), 0.1, 1.0, ())
        packs.of(Decision("", (answer,), "s@1", "", 0), "")
    assert len(packs._words) <= answer_plainly._MOST
