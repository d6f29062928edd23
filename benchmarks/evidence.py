"""Whether the answers were decisions: a benchmark that leaves out the work measures nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redis import Redis

from benchmarks.loadgen import Measured
from service.store import keys
from tact.v1 import decision_pb2, values_pb2

DECISION_ID_CHARACTERS = 26


class NotDecided(Exception):
    """An answer was no decision, or a decision was not logged."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a sample of the answers were, as shares, and how many decisions the log grew by for how many answers."""

    sampled: int
    kinds: dict[str, float]
    reasons: dict[str, float]
    distinct_actions: int
    answered: int
    logged: int


def logged(store: Redis) -> int:
    """Count the entries of the decision log over all buckets."""
    pipeline = store.pipeline(transaction=False)
    for bucket in range(keys.BUCKETS):
        pipeline.xlen(keys.log_key(f"{bucket:03x}"))
    return sum(pipeline.execute())


def judged(
    samples: Iterable[tuple[int, bytes]], requests: Sequence[decision_pb2.DecideRequest], answered: int, grown: int
) -> Evidence:
    """Look at each sampled answer beside its request; raise `NotDecided` at the first that is not a full decision."""
    kinds, reasons, actions = Counter[str](), Counter[str](), set[str]()
    for index, raw in samples:
        reply = decision_pb2.DecideResponse.FromString(raw)
        if wrong := _wrong(requests[index], reply):
            raise NotDecided(f"{wrong}, in the answer to\n{requests[index]}\n{reply}")
        for answer in reply.answers:
            kind = answer.WhichOneof("answer")
            kinds[str(kind)] += 1
            reason = values_pb2.ReasonCode.Name(answer.reasons[0].code)
            reasons[reason.removeprefix("REASON_CODE_").lower()] += 1
            actions.add(answer.offer.action_id or answer.greeting.action_id)
    if not kinds:
        raise NotDecided("no answer was sampled")
    if grown < answered:
        raise NotDecided(f"{answered} answers were given and only {grown} decisions logged")
    total = sum(kinds.values())
    return Evidence(total, _shares(kinds, total), _shares(reasons, total), len(actions - {""}), answered, grown)


def faultless(measured: Measured, what: str) -> None:
    """Raise `NotDecided` unless every request was answered with OK and with something."""
    if measured.errors or measured.unsent or measured.ok == 0:
        unsent = f", {measured.unsent} due and never sent" if measured.unsent else ""
        raise NotDecided(f"{what}: {measured.ok} OK{unsent}, {measured.errors}, {measured.error_texts}")
    if measured.reply_bytes["min"] == 0:
        raise NotDecided(f"{what}: an empty answer")


def _wrong(request: decision_pb2.DecideRequest, reply: decision_pb2.DecideResponse) -> str:
    """Say what is wrong with an answer; empty when nothing is."""
    if reply.request_id != request.request_id:
        return "another request's answer"
    if reply.degraded or len(reply.decision_id) != DECISION_ID_CHARACTERS:
        return "degraded or not recorded"
    if [answer.placement for answer in reply.answers] != list(request.placements):
        return "not one answer a placement"
    if not all(answer.reasons and answer.WhichOneof("answer") for answer in reply.answers):
        return "no answer or no reason"
    return "" if reply.versions.strategy and reply.versions.model else "no strategy or no model"


def _shares(counts: Counter[str], total: int) -> dict[str, float]:
    return {name: round(count / total, 4) for name, count in counts.most_common()}
