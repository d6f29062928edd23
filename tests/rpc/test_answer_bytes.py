"""Claims about answers that are put together as bytes: they are those of the contract's own messages."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.decision import Answer, Decision, Explanation, Reason, ReasonCode
from service.core.rules import Kind
from service.rpc import answer_bytes
from service.rpc.answer_bytes import AnswerBytes
from service.rpc.convert_answer import answer_of
from tests.rpc.world import strategy

SCHEMA = strategy().schema
PACKS = AnswerBytes(SCHEMA)


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


@settings(max_examples=int(os.environ.get("TACT_ANSWERS", "150")), deadline=None)
@given(
    st.builds(
        Decision,
        texts(),
        st.lists(ANSWERS, max_size=3).map(tuple),
        texts(),
        texts(),
        moments(),
        st.lists(REASONS, max_size=2).map(tuple),
        st.none() | st.just(Explanation((), (), "full")),
    ),
    texts(),
)
def test_the_bytes_are_those_of_the_message(decision: Decision, request_id: str) -> None:
    """Whatever was decided, the bytes are the same as those of the message that is filled field by field."""
    wanted = answer_of(decision, request_id, SCHEMA).SerializeToString(deterministic=True)
    for packs in (PACKS, AnswerBytes(SCHEMA)):  # with what it has seen before, and for the first time
        assert packs.of(decision, request_id) == wanted


def test_what_is_kept_is_bounded() -> None:
    """Texts that differ with every customer do not pile up."""
    packs = AnswerBytes(SCHEMA)
    for number in range(3 * answer_bytes._MOST):
        answer = Answer("hero", "hello", Kind.OFFER.value, f"Good day, {number}", (), 0.1, 1.0, ())
        packs.of(Decision("", (answer,), "s@1", "", 0), "")
    assert len(packs._words) <= answer_bytes._MOST
