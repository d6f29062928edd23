"""Say cases and their verdicts as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.cases.case import NOTHING
from service.cases.verdict import Verdict, reason_name


def line_of(verdict: Verdict) -> str:
    """Return a case as one line: its sentence, and whether the strategy decides so."""
    return f"{'ok    ' if verdict.ok else 'FAILED'}  {verdict.case.says}"


def why(verdict: Verdict) -> Iterator[str]:
    """Yield what is wrong with a case that failed: where it stands, what is different, and what was decided why."""
    case = verdict.case
    yield f"{case.file}:{case.line}: {case.customer.id} on {case.channel}"
    yield from verdict.wrong
    for answer in verdict.got.answers:
        reasons = "; ".join(f"{reason_name(reason)}: {reason.sentence}" for reason in answer.reasons)
        yield f"decided at {answer.placement}: {answer.action or NOTHING} ({reasons})"


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return how many cases are as they should be."""
    bad = sum(not verdict.ok for verdict in verdicts)
    many = f"{len(verdicts)} case{'' if len(verdicts) == 1 else 's'}"
    return (
        f"{many}: all are decided so" if not bad else f"{many}: {bad} {'is' if bad == 1 else 'are'} decided otherwise"
    )
