"""What a supervisor and a worker say to each other arrives as it was said, or not at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config import LogLevel, Scheduling, Settings, StorePlace
from service.store.retention import Retention
from service.telemetry.settings import TelemetrySettings
from service.workers.messages import (
    AskStore,
    AskVerdict,
    Beat,
    Begin,
    Leave,
    Look,
    Refused,
    Serving,
    Store,
    ToSupervisor,
    ToWorker,
    Unreadable,
    Verdict,
    encode,
    for_supervisor,
    for_worker,
)
from service.workers.seat import Seat

names = st.text(max_size=20)
paths = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).map(Path)
some_settings = st.builds(
    Settings,
    store=st.one_of(st.builds(StorePlace, st.none(), names), st.builds(StorePlace, paths)),
    strategy=paths,
    model=st.none() | paths,
    challenger=st.none() | paths,
    erasure_key=st.none() | st.binary(min_size=32),
    keep=st.builds(Retention, context=st.timedeltas(timedelta(0), timedelta(36_525))),
    host=names,
    port=st.integers(0, 65_535),
    reload=st.booleans(),
    workers=st.integers(1, 256),
    seat=st.builds(Seat, st.integers(1, 256), st.integers(1), st.lists(names).map(tuple)),
    pin=st.booleans(),
    scheduling=st.sampled_from(Scheduling),
    log_level=st.sampled_from(LogLevel),
    grace_s=st.floats(0, 3600),
    telemetry=st.builds(
        TelemetrySettings,
        on=st.booleans(),
        otlp=names,
        trace_share=st.floats(0, 1),
        port=st.none() | st.integers(0, 65_535),
        headers=st.lists(st.tuples(names, names)).map(tuple),
    ),
)
to_worker = st.one_of(
    st.builds(Begin, some_settings),
    st.just(Look()),
    st.just(Leave()),
    st.builds(Store, names, names),
    st.builds(Verdict, st.integers(0, 9), names, names, st.booleans()),
)
to_supervisor = st.one_of(
    st.just(AskStore()),
    st.builds(AskVerdict, st.integers(0, 9), names, names),
    st.builds(Serving, st.integers(0, 65_535), names, names, st.lists(names).map(tuple), st.lists(names).map(tuple)),
    st.builds(Beat, st.none() | st.lists(names).map(tuple)),
    st.builds(Refused, names),
)


@given(to_worker)
def test_a_worker_hears_what_was_said(message: ToWorker) -> None:
    """All settings, keys and paths of any characters included, come back from one line."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert for_worker(line[:-1]) == message


@given(to_supervisor)
def test_a_supervisor_hears_what_was_said(message: ToSupervisor) -> None:
    """Whatever a worker says comes back from one line."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert for_supervisor(line[:-1]) == message


@pytest.mark.parametrize("read", [for_worker, for_supervisor])
@pytest.mark.parametrize(
    "line",
    [b"", b"opensesame", b"[]", b'{"type":"opensesame"}', b'{"type":"Store","url":1}', b"\xff", b'{"type":"Beat"'],
)
def test_anything_else_is_refused_without_repeating_it(read: object, line: bytes) -> None:
    """A line that is none of ours is no message, and what stands in it goes nowhere."""
    assert callable(read)
    with pytest.raises(Unreadable) as refused:
        read(line)
    assert "opensesame" not in f"{refused.value} {refused.value.__cause__}"


def test_secrets_are_not_shown() -> None:
    """Neither the erasure key nor a URL with a password shows where a message is printed."""
    settings = Settings(StorePlace(None, "redis://:opensesame@h"), erasure_key=b"opensesame" * 4)
    for message in (Begin(settings), Store("redis://:opensesame@h")):
        assert "opensesame" not in f"{message!r} {message}"
