"""What callers say of their traces is read as the standard wants it, and what is not valid counts as not said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.w3c import Parent, parent_in, parse, response

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = Parent(int(TRACE, 16), int(SPAN, 16), sampled=True)


@pytest.mark.parametrize(
    ("said", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_what_is_valid_is_read(said: str, sampled: bool) -> None:
    """Version 0 is read, and of later ones what version 0 knows; of the flags only the first bit counts."""
    assert parse(said) == Parent(PARENT.trace_id, PARENT.span_id, sampled)


@pytest.mark.parametrize(
    "said",
    [
        "", "00", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}0-{SPAN}-01", f"00-{TRACE[:-1]}g-{SPAN}-01", f"00_{TRACE}_{SPAN}_01",
        f" 00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01\n", f"cc-{TRACE}-{SPAN}-01.more", f"0-{TRACE}-{SPAN}-01",
    ],
)  # fmt: skip
def test_what_is_not_valid_was_not_said(said: str) -> None:
    """The standard wants a new trace begun where the header is broken, and no error."""
    assert parse(said) is None


def test_two_headers_say_nothing() -> None:
    """Where it is not clear which one is meant, none is; other headers, and bytes, do not matter."""
    said = ("traceparent", f"00-{TRACE}-{SPAN}-01")
    assert parent_in([("user-agent", "x"), said]) == PARENT
    assert parent_in([said, said]) is None
    assert parent_in([("traceparent", b"\x00")]) is None
    assert parent_in([]) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_what_is_told_can_be_read(trace_id: int, span_id: int) -> None:
    """What a caller is told of a traced decision has the form of the standard, and names the very ids."""
    assert parse(response(trace_id, span_id)) == Parent(trace_id, span_id, sampled=True)


@given(st.text(max_size=80))
def test_no_text_is_an_error(said: str) -> None:
    """Whatever a caller sends as its trace, it is read or it is not."""
    assert parse(said) is None or len(said) >= 55
