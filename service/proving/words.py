"""Tell in plain words what was proven and found: a counterexample is told as a customer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from models.context import Scalar, ValueType
from service.core.strategy import Strategy
from service.proving.proofs import Before, Example, Found, Proof, Report, Ruling, Said

_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))
_MARKS = {Ruling.PROVEN: "proven ", Ruling.BROKEN: "BROKEN ", Ruling.UNKNOWN: "unknown"}


def proof_lines(proof: Proof, strategy: Strategy) -> Iterator[str]:
    """Yield the verdict over a promise, and the customer for whom it is broken."""
    place = f" ({proof.file}:{proof.line})" if proof.file else ""
    yield f"{_MARKS[proof.ruling]}  {proof.id}{place}: {proof.says}"
    if proof.why:
        yield f"         {proof.why}"
    if proof.example is not None:
        yield from (f"         {line}" for line in example_lines(proof.example, strategy))


def in_one_line(proof: Proof, strategy: Strategy) -> str:
    """Return what is wrong with a promise in one line, as documents are refused."""
    place = f"{proof.file}:{proof.line}: " if proof.file else ""
    told = [proof.why] if proof.why else []
    if proof.example is not None:
        told += [line.strip() for line in example_lines(proof.example, strategy)]
    return f"{place}`{proof.id}` is {proof.ruling}: {proof.says} {'; '.join(told)}".rstrip()


def found_lines(found: Found) -> Iterator[str]:
    """Yield a finding."""
    place = f"{found.file}:{found.line}: " if found.file else ""
    yield f"{place}{found.kind}: {found.says}"


def example_lines(example: Example, strategy: Strategy) -> Iterator[str]:
    """Yield who the customer is, what went before, and what the service answers."""
    yield f"Somebody on {example.channel}, {_agreed(example, strategy)}, at {moment(example.now_ms)}, of whom is known:"
    fields = {field.id: field for field in strategy.schema.fields}
    for name, value in example.facts.items():
        yield f"  {name} = {told(value, fields[name].type)}  ({fields[name].says.rstrip('.')})"
    if not example.facts:
        yield "  nothing"
    if not example.as_seen:
        yield "  (no events were found that say just this; it is judged as it is)"
    yield from map(_before, example.before)
    action = next((one for one in strategy.actions if one.id == example.action), None)
    if action is not None:
        yield f"may be told `{action.id}`: {action.says}"
    yield from _decided(example)


def _agreed(example: Example, strategy: Strategy) -> str:
    asks = next(one.permission for one in strategy.channels if one.id == example.channel)
    allows = ("who may be contacted there" if example.permitted else "who may not be contacted there") if asks else ""
    return f"with the consent `{example.level}`{', ' if allows else ''}{allows}"


def _before(one: Before) -> str:
    said = f"{span(one.ago_ms)} ago `{one.action}` was said on {one.channel}"
    return f"{said}, and answered with `{one.answered}`" if one.answered else said


def _decided(example: Example) -> Iterator[str]:
    if example.answers:
        yield f"the service answers: {_said(example.answers)}"
    if example.alone and _actions(example.alone) != _actions(example.answers):
        yield f"with everything else switched off: {_said(example.alone)}"


def _actions(answers: tuple[Said, ...]) -> tuple[str, ...]:
    return tuple(one.action for one in answers)


def _said(answers: tuple[Said, ...]) -> str:
    return "; ".join(f"{one.placement} {one.action or 'nothing'}" for one in answers)


def told(value: Scalar, kind: ValueType) -> str:
    """Return a value as people read it."""
    if kind is ValueType.TIMESTAMP and isinstance(value, int):
        return moment(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(repr, value))}]"
    return repr(value)


def moment(at_ms: int) -> str:
    """Return a moment, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(length_ms: int) -> str:
    """Return a time span in its largest whole unit."""
    for unit_ms, name in _UNITS:
        if length_ms >= unit_ms and (length_ms % unit_ms == 0 or length_ms >= 10 * unit_ms):
            many = length_ms // unit_ms
            return f"{many} {name}{'s' if many > 1 else ''}"
    return f"{length_ms} ms"


def summary(report: Report) -> str:
    """Return the verdict over a strategy in one line."""
    counts = [
        (f"{len(report.broken)} broken", report.broken),
        (f"{len(report.unknown)} unknown", report.unknown),
        (f"{len(report.proofs) - len(report.broken) - len(report.unknown)} proven", report.proofs),
    ]
    told = ", ".join(words for words, those in counts if those)
    return f"{report.strategy}: {told}, {len(report.findings)} findings, in {report.seconds:.1f} s"
