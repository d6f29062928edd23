"""Tell what an evaluation found: as a document for programs, and in sentences that claim no more than the intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .estimates import Estimate, Method, Verdict
from .evaluation import Arm, Evaluated

Document = dict[str, Any]

NAMES: Mapping[str, str] = {
    "strategy": "the strategy",
    "against": "the one against it",
    "no_levers": "no levers",
    "propensity_only": "propensity only",
    "random": "random",
    "best_single": "best single action",
    "nothing": "nothing",
}
"""What people read for the arms."""

THE_STRATEGY = "strategy"
IN_SAMPLE = "in-sample"
"""The mark, and the verdict, of what a model is said to do on decisions that it learned from."""


def arms_told(found: Evaluated, method: Method) -> Document:
    """Return all arms, with the differences from the log."""
    return {arm.name: _arm(found, arm, method) for arm in found.arms}


def _arm(found: Evaluated, arm: Arm, method: Method) -> Document:
    support, over = arm.support, found.over_log(arm.name, method)
    return {
        "refusal": support.refusal,
        "values": {str(one): numbers(estimate) for one, estimate in arm.values.items()},
        "effective_decisions": support.effective,
        "effective_customers": support.customers,
        "largest_weight": support.largest,
        "lacking": support.lacking,
        "lacking_actions": dict(support.actions),
        "over_log": None if over is None else {**numbers(over), "verdict": str(over.verdict)},
        "says": {name: share for name, share in zip(found.actions, arm.coverage, strict=True) if share > 0.0},
    }


def numbers(estimate: Estimate) -> Document:
    """Return an estimate with its interval; what is not finite is null."""
    told = {"value": estimate.value, "error": estimate.error, "low": estimate.low, "high": estimate.high}
    finite = {name: number if abs(number) < float("inf") else None for name, number in told.items()}
    return {**finite, "few": estimate.few} if estimate.few else finite


def differences_told(found: Evaluated, method: Method) -> list[Document]:
    """Return by how much the strategy is worth more than each other arm; those that are refused are left out."""
    told = []
    for arm in found.arms:
        if arm.name == THE_STRATEGY:
            continue
        over = found.difference(THE_STRATEGY, arm.name, method)
        if over is not None:
            told.append({"arm": THE_STRATEGY, "than": arm.name, **numbers(over), "verdict": str(over.verdict)})
    return told


def claims(document: Document) -> Iterator[str]:
    """Yield what may be claimed: sentences of better and worse only where the interval says so."""
    currency = document["currency"]
    for name, arm in document["arms"].items():
        if arm["refusal"]:
            yield f"{NAMES.get(name, name)}: {arm['refusal']}"
    if document.get("in_sample"):
        yield (
            "In-sample: the model learned from some of these decisions, so of better and worse nothing is said; leave "
            "out --also-learned-from for that."
        )
        return
    own = document["arms"][THE_STRATEGY]
    if own["over_log"]:
        yield _claim(NAMES[THE_STRATEGY], "what was logged", own["over_log"], currency)
    for one in document["differences"]:
        yield _claim(NAMES[one["arm"]], NAMES.get(one["than"], one["than"]), one, currency)


def _claim(arm: str, than: str, over: Document, currency: str) -> str:
    interval = f"{over['value']:+.3g} {currency} a decision, 95 % from {_short(over['low'])} to {_short(over['high'])}"
    if over["value"] == over["error"] == 0.0:
        return f"{arm[0].upper()}{arm[1:]} and {than} say the same."
    if over.get("few"):
        return f"Whether {arm} is better than {than} the log does not say: {over['few']}."
    if over["verdict"] == Verdict.UNDECIDED:
        return f"Whether {arm} is better than {than} the log does not say: {interval}."
    return f"{arm[0].upper()}{arm[1:]} is {over['verdict']} than {than}: {interval}."


def marked(document: Document) -> str:
    """Return the mark of what a model is said to do on decisions that it learned from; empty on others."""
    return f" ({IN_SAMPLE})" if document.get("in_sample") else ""


def _short(number: float | None) -> str:
    return "anything" if number is None else f"{number:+.3g}"


def in_words(document: Document) -> str:
    """Return the document as people read it on a terminal."""
    lines = [
        f"{document['rows']:,} decisions about {document['customers']:,} customers, {document['unknown']:,} of unknown "
        f"worth left out; they earned {_interval(document['logged'])} {document['currency']} a decision",
        f"{'arm':<20} {'value (' + document['method'] + ')':>24} {'ips':>9} {'snips':>9} {'dm':>9} {'dr':>9} "
        f"{'effective':>10} {'weight':>8} {'lacking':>8}",
    ]
    lines += [_line(NAMES.get(name, name), arm, document["method"]) for name, arm in document["arms"].items()]
    if document["best_single"]:
        lines.append(f"the best single action is {document['best_single']}")
    lines += claims(document)
    if document["propensities"]:
        found = document["propensities"]["all"]
        auc = "none" if found["auc"] is None else f"{found['auc']:.3f}"
        lines.append(
            f"propensities{marked(document)}: AUC {auc}, log loss {found['log_loss']:.4f} against "
            f"{found['log_loss_of_the_rate']:.4f} for the plain rate, "
            f"calibration error {found['calibration_error']:.4f} ({found['rows']:,} rows)"
        )
    lines += [_uplift(document), *document["notes"]]
    if document["report"]:
        lines.append(f"the report is {document['report']}")
    return "\n".join(lines)


def _uplift(document: Document) -> str:
    found = document["uplift"]
    if found["refusal"]:
        return f"uplift{marked(document)}: {found['refusal']}"
    named = (("Qini", "qini"), ("of all", "uplift"), ("of the highest 10 %", "uplift_at_0.1"))
    told = [
        f"{words} {_signed(found[key])} ({_signed(found[key + '_low'])} to {_signed(found[key + '_high'])})"
        for words, key in named
    ]
    unit = f"in {document['currency']}"
    return f"uplift{marked(document)} {unit} of what it ranks highest against nothing: {', '.join(told)}"


def _signed(number: float) -> str:
    return f"{round(number, 9) + 0.0:+.3g}"  # what is 0 but for rounding is 0


def _line(name: str, arm: Document, method: str) -> str:
    values = arm["values"]
    shown = _interval(values[method]) if values else "refused"
    each = [f"{values[str(one)]['value']:>9.3f}" if values else f"{'–':>9}" for one in Method]
    return (
        f"{name:<20} {shown:>24} {' '.join(each)} {arm['effective_decisions']:>10,.0f} "
        f"{arm['largest_weight']:>8.1f} {arm['lacking']:>8.1%}"
    )


def _interval(told: Document) -> str:
    if told["value"] is None:
        return "not known"
    if told["low"] is None:
        return f"{told['value']:.3f} (anything)"
    return f"{told['value']:.3f} ({told['low']:.3f} to {told['high']:.3f})"
