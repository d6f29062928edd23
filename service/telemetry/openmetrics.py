"""Write families as text: OpenMetrics 1.0, with exemplars, and the older Prometheus text 0.0.4, without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.telemetry.families import Family, Kind, Labels, Spreading
from service.telemetry.spreads import BOUNDS_S, Exemplar

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"

_KINDS = {"application/openmetrics-text": "openmetrics", "text/plain": "plain"}
_VERSIONS = {"openmetrics": ("", "1.0.0"), "plain": ("", "0.0.4")}
_UNITS = {"s": "_seconds", "By": "_bytes"}
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n"})
"""The older text leaves a quote in a sentence as it is."""

_LE = (*(f"{bound:.9g}" for bound in BOUNDS_S), "+Inf")


def metric_name(family: Family) -> str:
    """Return the name without what is appended for single numbers: dots become underscores, the unit comes last."""
    return family.name.replace(".", "_") + _UNITS.get(family.unit, "")


def wants_openmetrics(accepted: str) -> bool:
    """Return whether an `Accept` header (or several, joined by commas) likes OpenMetrics at least as well as text."""
    liked = {"openmetrics": 0.0, "plain": 0.0}
    for one in accepted.lower().split(","):
        kind, *parameters = (part.strip() for part in one.split(";"))
        told = dict(part.partition("=")[::2] for part in parameters)
        name = _KINDS.get(kind)
        if name is not None and told.get("version", "").strip('"') in _VERSIONS[name]:
            liked[name] = max(liked[name], _liking(told.get("q", "1")))
    return 0.0 < liked["openmetrics"] >= liked["plain"]


def _liking(q: str) -> float:
    try:
        return float(q)
    except ValueError:
        return 0.0


def text_of(families: Iterable[Family], *, openmetrics: bool) -> str:
    """Write families as one document."""
    lines = [line for family in families for line in _lines(family, openmetrics)]
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _lines(family: Family, openmetrics: bool) -> Iterator[str]:
    name, kind = metric_name(family), family.kind
    suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(kind, "")
    headed, told = (name, kind) if openmetrics else (name + suffix, Kind.GAUGE if kind is Kind.INFO else kind)
    yield f"# TYPE {headed} {told}"
    if openmetrics and family.unit in _UNITS:
        yield f"# UNIT {headed} {_UNITS[family.unit][1:]}"
    yield f"# HELP {headed} {family.says.translate(_ESCAPED if openmetrics else _HELP_ESCAPED)}"
    for point in family.points:
        yield f"{name}{suffix}{_braced(point.labels)} {_number(point.value)}"
    for spreading in family.spreads:
        yield from _buckets(name, spreading, openmetrics)


def _buckets(name: str, spreading: Spreading, openmetrics: bool) -> Iterator[str]:
    labels, spread = spreading.labels, spreading.spread
    head = f'{name}_bucket{{{_inner(labels)}{"," if labels else ""}le="'
    exemplars = spreading.exemplars if openmetrics else {}
    for at, below in spreading.steps():
        yield f'{head}{_LE[at]}"}} {below}{_exemplar(exemplars.get(at)) if exemplars else ""}'
    yield f"{name}_count{_braced(labels)} {sum(spread.counts)}"
    yield f"{name}_sum{_braced(labels)} {_number(spread.total_s)}"


def _exemplar(one: Exemplar | None) -> str:
    if one is None:
        return ""
    ids = f'trace_id="{one.trace.trace_id:032x}",span_id="{one.trace.span_id:016x}"'
    return f" # {{{ids}}} {_number(one.seconds)} {one.at_ns / 1e9:.3f}"


def _braced(labels: Labels) -> str:
    return f"{{{_inner(labels)}}}" if labels else ""


def _inner(labels: Labels) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels)


def _number(value: float) -> str:
    return repr(round(value, 9))
