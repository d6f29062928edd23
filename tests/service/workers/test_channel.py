"""Lines over a socket arrive whole and in order, however they are cut; its end is noticed on the other side."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.workers.channel import Channel, first_line
from service.workers.messages import LONGEST_LINE, Beat, Leave, Look, Unreadable, encode


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9), st.data())
def test_lines_are_put_together(lines: list[bytes], data: st.DataObject) -> None:
    """However the bytes are cut, each line is heard once, whole, in order; half a line is not heard."""
    sent = b"".join(line + b"\n" for line in lines) + b"half"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    heard: list[bytes] = []
    channel = Channel(heard.append, lambda: None)
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        channel.data_received(sent[start:end])
    assert heard == lines


async def test_what_was_said_last_arrives_before_the_end() -> None:
    """Whoever closes has said everything; the other side then hears that it is gone, once."""
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    gone: list[bool] = []
    first = await Channel.over(ours, heard.append, lambda: gone.append(True))
    second = await Channel.over(theirs, lambda line: None, lambda: None)
    for _ in range(1000):
        second.send(Beat(("a guardrail",) * 10))
    await second.close(10.0)
    await first.ended()
    assert heard == [encode(Beat(("a guardrail",) * 10))[:-1]] * 1000
    assert gone == [True]
    first.send(Look())  # nobody is there any more, and nothing happens


async def test_who_does_not_read_is_not_waited_for() -> None:
    """Where the other end does not read, that is known, and closing takes no longer than it is given."""
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await Channel.over(ours, lambda line: None, lambda: None)
        while channel.is_heard:
            channel.send(Beat(("a guardrail",) * 1000))
        began = asyncio.get_running_loop().time()
        await channel.close(0.1)
        assert asyncio.get_running_loop().time() - began < 2.0


async def test_what_is_none_of_ours_ends_it() -> None:
    """A line that is refused, and one without an end, close the channel; what was heard before counts."""
    for sent in (encode(Leave()) + b"nonsense\n", b"x" * (LONGEST_LINE + 1)):
        ours, theirs = socket.socketpair()

        def hear(line: bytes) -> None:
            if line == b"nonsense":
                raise Unreadable("none of ours")

        with theirs:
            channel = await Channel.over(ours, hear, lambda: None)
            await asyncio.get_running_loop().run_in_executor(None, _send_all, theirs, sent)
            async with asyncio.timeout(10.0):
                await channel.ended()


def _send_all(end: socket.socket, data: bytes) -> None:
    try:
        end.sendall(data)
    except OSError:  # it was closed before it had read all of it
        return


def test_a_first_line_is_read_with_what_follows() -> None:
    """What was read beyond the line is not lost; an end without a line is none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"first\nsecond\nthi")
        assert first_line(ours) == (b"first", b"second\nthi")
        theirs.sendall(b"no end")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Unreadable):
            first_line(ours)
