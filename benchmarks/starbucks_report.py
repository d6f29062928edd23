"""The page about what was learned from the Starbucks month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.starbucks_value import SERVED, Arms, Completions
from training.report.figures import (
    Curve,
    Estimate,
    Forecasts,
    calibration,
    gains_and_lift,
    off_policy_arms,
    uplift_and_qini,
)
from training.report.page import write_report
from training.report.parts import Report, Section, Table
from training.uplift.metrics import UpliftMetrics

UNIT = "$ a decision"


def write(path: Path, tested: Mapping[str, Completions], arms: Sequence[Arms], ranked: UpliftMetrics) -> None:
    """Write the page."""
    words = (
        "Learned from the waves of hours 0 and 168. Who completes is tested on those of 408 and 504, what it pays to "
        "send to whom is valued on 336, 408 and 504, doubly robust, with intervals of 95 % by customer.",
    )
    sections = (_completed(tested), *(_valued(one) for one in arms), _ranked(ranked))
    write_report(
        path, Report("A month of Starbucks offers: who completes them, and whom they pay for", sections, words)
    )


def _completed(tested: Mapping[str, Completions]) -> Section:
    shown = [Forecasts(f"by the {name}", one.scores.probability, one.scores.outcome) for name, one in tested.items()]
    head = ("known", "offer", "rows", "AUC", "log loss", "calibration error")
    rows = [
        (name, offer, figures.rows, figures.auc, figures.log_loss, figures.calibration_error)
        for name, one in tested.items()
        for offer, figures in (("all", one.all), *one.offers.items())
    ]
    figures = (calibration(shown), gains_and_lift(shown))
    return Section("Who completes an offer", (), figures, (Table("By offer", head, tuple(rows)),))


def _valued(arms: Arms) -> Section:
    found = [(name, arms.over_nothing(name)) for name in (*arms.policies, arms.single)]
    named = {arms.single: f"{arms.single} for everyone"}
    shown = [Estimate(named.get(name, name), one.value, one.low, one.high) for name, one in found]
    against = [(name, arms.over_single(name)) for name in arms.policies]
    head = ("policy", f"over {arms.single} for everyone, {UNIT}", "low", "high", "so it is")
    rows = tuple((name, one.value, one.low, one.high, str(one.verdict)) for name, one in against)
    words = (f"Values against doing nothing. {SERVED} is what serves.", arms.claim())
    return Section(
        f"What it pays, {arms.title}", words, (off_policy_arms(shown, UNIT),), (Table("Paired", head, rows),)
    )


def _ranked(ranked: UpliftMetrics) -> Section:
    uplift, gain = (Curve(SERVED, one.x, one.y, one.low, one.high) for one in (ranked.uplift, ranked.gain))
    words = ("Members who were sent just what the learner that serves ranks highest, against those sent nothing.",)
    return Section("Whether those said to gain most do", words, (uplift_and_qini([uplift], [gain], UNIT),))
