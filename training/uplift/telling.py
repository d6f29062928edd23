"""What a training run tells people of models of worth: lines on the command line, and a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..report.figures import Curve, uplift_and_qini
from ..report.parts import Section, Table
from .metrics import TOLD_AT, UpliftMetrics

_TITLE = "What saying it earns"


def lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a manifest says of models of worth; nothing where the strategy does not rank by uplift."""
    told, seen = manifest.get("learning", {}).get("worth"), manifest.get("metrics", {}).get("uplift")
    if told is None or seen is None:
        return
    figures = seen.get("refused", "")
    if not figures:
        named = (("Qini", "qini"), ("uplift of all", "uplift"), ("of the highest tenth", "uplift_at_0.1"))
        figures = "on the latest rows, contact costs taken off, " + ", ".join(
            f"{name} {_interval(seen, key)}" for name, key in named
        )
    yield f"models of worth: {len(manifest['valued'])}; {figures}"
    yield from (f"  without one, so by the formula: {action} ({why})" for action, why in told["left_out"].items())


def _interval(figures: Mapping[str, float | None], key: str) -> str:
    value, low, high = (figures.get(f"{key}{end}") for end in ("", "_low", "_high"))
    return "unknown" if value is None or low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def section(judged: UpliftMetrics | str, left_out: Mapping[str, str], unit: str) -> Section:
    """Return the section of the report: how those who are said to gain most did on the latest rows."""
    lacking = Table("By the formula, for want of a model", ("action", "why"), tuple(left_out.items()))
    tables = (lacking,) if left_out else ()
    if isinstance(judged, str):
        return Section(_TITLE, (f"Refused: {judged}.",), (), tables)
    words = (
        "Of the latest fifth of the decisions those that said just what promises most to each, contact costs taken "
        "off, against those that said nothing, by models that were learned from the decisions before them.",
    )
    uplift, gain = (Curve("learned", one.x, one.y, one.low, one.high) for one in (judged.uplift, judged.gain))
    rows = [("Qini coefficient", judged.qini), ("uplift of all", judged.overall)]
    rows += [(f"uplift of the highest {share:.0%}", judged.at(share)) for share in TOLD_AT]
    figures = tuple((name, one.value, one.low, one.high) for name, one in rows)
    table = Table("On the latest rows", ("figure", unit, "low", "high"), figures)
    return Section(_TITLE, words, (uplift_and_qini([uplift], [gain], unit),), (table, *tables))
