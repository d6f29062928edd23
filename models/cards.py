"""The card of a model: what it is for, from what it was made, how good it is and where it must not be relied on.

`card.md` is written from the manifest when a version is made, so that it cannot say anything else than that. It names
no version, for it is part of what the version is computed from: it is that of the folder that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .artifacts import BOOSTED, VALUES, Manifest

INTENDED = (
    "Ranking what one business may say to its customers, under the guardrails, consent levels and caps of the strategy "
    "it was made for."
)
LIMITS = (
    "It forecasts what customers like those in its data do. It says nothing about why, and nothing about people, "
    "channels or prices that its data do not hold.",
    "It permits nothing: what may be said is decided by the strategy's rules, whatever it forecasts.",
    "It must not decide about credit, employment, insurance, health or prices of a person.",
    "Its probabilities age. `tact drift` tells when, `tact recalibrate` repairs what recalibration can.",
)
_FIGURES = {
    "rows": "rows held out",
    "outcomes": "outcomes among them",
    "auc": "AUC",
    "log_loss": "log loss",
    "log_loss_of_the_rate": "log loss of the base rate",
    "calibration_error": "calibration error (10 bins)",
}
_SIDES = {"said": "When an action is said", "silent": "When nothing is said"}
_MOST_LINES = 200


def card_of(manifest: Manifest) -> str:
    """Return a model's card as Markdown."""
    sections = {
        "Intended use": [INTENDED],
        "Limits": [f"- {limit}" for limit in LIMITS],
        "Data": list(_data(manifest)),
        "Quality on rows it had not seen": list(_quality(manifest.metrics)),
        "Actions without a model of their own": list(_lacking(manifest)),
        "What looked suspicious in the data": [f"- {warning}" for warning in manifest.warnings] or ["Nothing."],
        "Fairness": list(_fairness(manifest.fairness)),
        "Made with": [f"- {name} {version}" for name, version in sorted(manifest.libraries.items())],
    }
    parts = [f"# Model card: {_plain(manifest.name)}", "\n".join(_head(manifest))]
    parts += [f"## {title}\n\n" + "\n".join(lines[:_MOST_LINES]) for title, lines in sections.items()]
    return "\n\n".join(parts) + "\n"


def _head(manifest: Manifest) -> Iterator[str]:
    outcome = manifest.outcome or "accepted"
    influenced = ", where the action had an influence on it" if manifest.influenced else ""
    yield f"Probabilities of the outcome `{_plain(outcome)}`{influenced}, of {len(manifest.actions)} actions."
    if manifest.kind == "recalibrated":
        yield f"Recalibrated from `{manifest.of}`: the same model, with its probabilities put right on recent outcomes."
    if BOOSTED in manifest.files:
        yield "Some of the models are gradient-boosted trees."
    if VALUES in manifest.files:
        worth = ", ".join(f"{_plain(name)} x {factor:g}" for name, factor in sorted(manifest.worth.items()))
        yield f"It also holds models of what an action earns over saying nothing ({worth or 'by the strategy'})."


def _data(manifest: Manifest) -> Iterator[str]:
    rows = manifest.rows
    yield f"- decided from {_plain(rows.first)} to {_plain(rows.last)}"
    yield f"- {rows.decisions:,} decisions, {rows.decisions_unlabelled:,} of them without a known outcome"
    if rows.events:
        yield f"- {rows.events:,} events"
    yield f"- {len(manifest.features)} features: {', '.join(map(_plain, manifest.features))}"
    yield f"- for the strategy with the digest `{_plain(manifest.strategy)[:12]}`, seed {manifest.seed}"


def _quality(metrics: Mapping[str, Any]) -> Iterator[str]:
    found = False
    for side, title in _SIDES.items():
        figures = (metrics.get(side) or {}).get("all") if isinstance(metrics.get(side), Mapping) else None
        if isinstance(figures, Mapping):
            found = True
            told = (f"{_FIGURES[name]} {_number(figures[name])}" for name in _FIGURES if figures.get(name) is not None)
            yield f"- {title}: {', '.join(told)}."
    if not found:
        yield "Not measured: there were too few rows to hold any out."


def _lacking(manifest: Manifest) -> Iterator[str]:
    for action, why in sorted(manifest.left_out.items()):
        yield f"- `{_plain(action)}`: {_plain(why)}"
    if not manifest.left_out:
        yield "None."


def _fairness(fairness: Mapping[str, Any]) -> Iterator[str]:
    if not fairness:
        yield "Not looked at when it was made. `tact promote --groups FIELD` prints the table, which the gate asks for."
    for field, groups in sorted(fairness.items()):
        if isinstance(groups, Mapping):
            yield from (f"- {_plain(field)} = {_plain(group)}: {_facts(facts)}" for group, facts in groups.items())


def _facts(facts: object) -> str:
    if not isinstance(facts, Mapping):
        return _plain(str(facts))
    return ", ".join(f"{_plain(str(name)).replace('_', ' ')} {_number(fact)}" for name, fact in facts.items())


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _plain(str(value))


def _plain(text: str) -> str:
    """Return text that can neither end its line nor begin anything of Markdown or HTML."""
    return "".join(c if c.isprintable() and c not in "<>`[]" else " " for c in text)[:200]
