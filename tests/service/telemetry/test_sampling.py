"""What is traced is chosen before anything is made of it: by a share, and by callers up to a rate."""

from collections.abc import Callable
from random import Random

import pytest

from service.telemetry.sampling import Allowance, Sampler
from service.telemetry.w3c import response

TRACE, SPAN = 0xABC, 0xDEF
SECOND = 1_000_000_000


class Calling:
    """A caller that says one thing of its trace."""

    def __init__(self, traceparent: str = "") -> None:
        self._said = (("traceparent", traceparent),) if traceparent else ()

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what was said."""
        return (("user-agent", "test"), *self._said)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...], /) -> None:
        """Fail: choosing tells a caller nothing."""
        raise AssertionError("nobody was to be told")


TRACING = Calling(response(TRACE, SPAN))
NOT_TRACING = Calling(response(TRACE, SPAN)[:-2] + "00")


def sampler(share: float, by_callers: float, unheeded: Callable[[], None] = lambda: None) -> Sampler:
    """Return a sampler whose dice are known."""
    return Sampler(share, by_callers, unheeded, Random(7))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("caller", [None, Calling(), Calling("broken")])
def test_of_what_nobody_traces_a_share_is_traced(share: float, caller: Calling | None) -> None:
    """The share holds, for nobody, for a caller without a trace and for one whose header is broken."""
    chosen, tries = sampler(share, 10.0), 20_000
    traced = sum(chosen.choose(caller, at) is not None for at in range(tries))
    assert abs(traced - share * tries) <= 4 * (tries * share * (1 - share)) ** 0.5


def test_a_new_trace_has_ids_of_its_own() -> None:
    """No two decisions share an id, none is nought, and none has a parent."""
    chosen = sampler(1.0, 10.0)
    traces = [trace for at in range(1000) if (trace := chosen.choose(None, at))]
    assert len({trace.trace_id for trace in traces}) == len({trace.span_id for trace in traces}) == 1000
    assert all(0 < trace.trace_id < 2**128 and 0 < trace.span_id < 2**64 and not trace.parent_id for trace in traces)


def test_what_a_caller_traces_joins_its_trace() -> None:
    """A decision that a caller traces is a span of its own below that caller's span, whatever the share is."""
    trace = sampler(0.0, 10.0).choose(TRACING, SECOND)
    assert trace is not None
    assert (trace.trace_id, trace.parent_id) == (TRACE, SPAN)
    assert trace.span_id not in (0, SPAN)


def test_what_a_caller_does_not_trace_is_not_traced() -> None:
    """Half a trace is of no use: where the caller decided against it, so do we."""
    chosen = sampler(1.0, 1000.0)
    assert [chosen.choose(NOT_TRACING, at * SECOND) for at in range(50)] == [None] * 50


def test_callers_cannot_have_everything_traced() -> None:
    """Of 20,000 requests in ten seconds that all ask for a trace, ten a second get one, and the rest are counted."""
    refused: list[int] = []
    chosen = sampler(0.0, 10.0, lambda: refused.append(1))
    traced = sum(chosen.choose(TRACING, SECOND + at * SECOND // 2_000) is not None for at in range(20_000))
    assert 100 <= traced <= 110
    assert len(refused) == 20_000 - traced


def test_what_callers_ask_for_beyond_their_rate_is_as_rare_as_anything() -> None:
    """Who asks too much is not worse off than who asks for nothing: the share holds for them too."""
    chosen = sampler(0.5, 0.0)
    traced = [trace for at in range(10_000) if (trace := chosen.choose(TRACING, at))]
    assert 4700 <= len(traced) <= 5300
    assert {trace.parent_id for trace in traced} == {SPAN}


@pytest.mark.parametrize(
    ("rate", "at_once"), [(0.0, 0), (-0.0, 0), (5e-324, 1), (1e-9, 1), (0.5, 1), (1.0, 1), (10.0, 10), (1000.0, 1000)]
)
def test_an_allowance_saves_up_one_second(rate: float, at_once: int) -> None:
    """After a long silence no more than one second's worth can be taken at once, but at least one."""
    allowance = Allowance(rate)
    at = 3600 * SECOND
    assert sum(allowance.take(at) for _ in range(5000)) == at_once


def test_an_allowance_comes_back() -> None:
    """What was spent comes back as time goes on, and not sooner."""
    allowance = Allowance(2.0)
    assert [allowance.take(at * SECOND // 4) for at in range(100, 110)] == [
        True, True, True, False, True, False, True, False, True, False,
    ]  # fmt: skip
