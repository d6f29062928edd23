"""A run whose answers are no decisions gives no figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.evidence import NotDecided, faultless, judged
from benchmarks.loadgen import Measured
from tact.v1 import decision_pb2, values_pb2

REQUEST = decision_pb2.DecideRequest(customer_id="anna", channel="web", placements=["hero"], request_id="r7")
Spoil = Callable[[decision_pb2.DecideResponse], object]


def decision() -> decision_pb2.DecideResponse:
    """Return a full answer to the request."""
    reply = decision_pb2.DecideResponse(request_id="r7", decision_id="0" * 26)
    reply.versions.strategy, reply.versions.model = "demo@1", "model@1"
    answer = reply.answers.add(placement="hero")
    answer.offer.action_id = "fibre"
    answer.reasons.add(code=values_pb2.REASON_CODE_HIGHEST_NET_VALUE, sentence="It is worth most.")
    return reply


def test_full_decisions_are_counted_by_kind() -> None:
    """Shares of kinds and reasons add up over the sample."""
    greeting = decision()
    greeting.answers[0].greeting.action_id = "hello"
    samples = [(0, decision().SerializeToString())] * 3 + [(0, greeting.SerializeToString())]
    seen = judged(samples, [REQUEST], answered=4, grown=5)
    assert seen.kinds == {"offer": 0.75, "greeting": 0.25}
    assert seen.reasons == {"highest_net_value": 1.0}
    assert (seen.sampled, seen.distinct_actions, seen.answered, seen.logged) == (4, 2, 4, 5)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda reply: setattr(reply, "request_id", "r8"), "another request's answer"),
        (lambda reply: setattr(reply, "degraded", True), "degraded"),
        (lambda reply: setattr(reply, "decision_id", ""), "not recorded"),
        (lambda reply: reply.ClearField("answers"), "one answer a placement"),
        (lambda reply: reply.answers[0].ClearField("offer"), "no answer or no reason"),
        (lambda reply: reply.answers[0].ClearField("reasons"), "no answer or no reason"),
        (lambda reply: setattr(reply.versions, "model", ""), "no model"),
    ],
)
def test_anything_less_than_a_decision_ends_the_run(spoil: Spoil, says: str) -> None:
    """Another's answer, a degraded one, an empty one, one without reason or model: each is refused in words."""
    reply = decision()
    spoil(reply)
    with pytest.raises(NotDecided, match=says):
        judged([(0, reply.SerializeToString())], [REQUEST], answered=1, grown=1)


def test_an_answer_that_was_not_logged_ends_the_run() -> None:
    """Fewer log entries than answers: the work was left out."""
    with pytest.raises(NotDecided, match="only 9 decisions logged"):
        judged([(0, decision().SerializeToString())], [REQUEST], answered=10, grown=9)


def test_no_sample_is_no_evidence() -> None:
    """Where nothing was looked at, nothing is known."""
    with pytest.raises(NotDecided, match="no answer was sampled"):
        judged([], [REQUEST], answered=10, grown=10)


@pytest.mark.parametrize(
    ("ok", "errors", "unsent", "smallest"),
    [(9, {"UNAVAILABLE": 1}, 0, 200), (0, {}, 0, 0), (10, {}, 0, 0), (9, {}, 1, 200)],
    ids=["an error", "nothing", "an empty answer", "unsent"],
)
def test_one_fault_spoils_a_window(ok: int, errors: dict[str, int], unsent: int, smallest: int) -> None:
    """A window counts only when every call was answered with OK and with something."""
    sizes = {"min": smallest, "mean": 200.0, "max": 300}
    seen = Measured(10, ok, ok, errors, {}, unsent, 1.0, 10.0, {}, 2000, sizes, 0.1, {})
    with pytest.raises(NotDecided):
        faultless(seen, "decide")


def test_a_window_without_fault_counts() -> None:
    """Ten calls, ten answers."""
    sizes = {"min": 100, "mean": 200.0, "max": 300}
    faultless(Measured(10, 10, 10, {}, {}, 0, 1.0, 10.0, {}, 2000, sizes, 0.1, {}), "decide")
