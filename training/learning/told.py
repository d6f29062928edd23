"""The report of a training run, for people."""

from __future__ import annotations

import numpy as np

from ..decisions import Decisions, Floats
from ..fit import Trained
from ..metrics import Metrics, joined, measured
from ..report.bars import coverage_of_actions, feature_effects
from ..report.curves import calibration, gains_and_lift
from ..report.parts import Cell, Estimate, Forecasts, Report, Section, Table
from ..uplift.telling import section
from .leaks import columns_of
from .learn import Model
from .models import Served

_MOST_ROWS = 2_000


def report_of(trained: Trained) -> Report:
    """Return the report of what was read and learned."""
    manifest, rows = trained.manifest, trained.manifest.rows
    words = (
        f"Learned for the strategy {trained.declared.name} from {rows.decisions:,} decisions, "
        f"{rows.first} to {rows.last}.",
        *(f"{remark}." for remark in trained.remarks),
    )
    sections = [_quality(trained), _choices(trained), _effects(trained), _coverage(trained.read.decisions)]
    worths = trained.worths
    if worths.judged is not None:
        sections.append(section(worths.judged, worths.told["worth"]["left_out"], "worth of a decision"))
    return Report(f"Model {manifest.version}", tuple(sections), words)


def _quality(trained: Trained) -> Section:
    sides = {"said": trained.learning.said, "nothing said": trained.learning.silent}
    held_out = {name: [m.held_out for m in models.values() if m.held_out] for name, models in sides.items()}
    scores = {name: joined(found) for name, found in held_out.items() if found}
    forecasts = [Forecasts(name, score.probability, score.outcome) for name, score in scores.items()]
    rows = [_figures(f"all, {name}", measured(score)) for name, score in scores.items()]
    rows += [
        _figures(f"{action}, {name}", measured(model.held_out))
        for name, models in sides.items()
        for action, model in models.items()
        if model.held_out
    ]
    head = ("model", "rows", "outcomes", "AUC", "log loss", "of the plain rate", "calibration error")
    words = (
        "Measured on the latest fifth of the decisions by models that were learned from those before them. What "
        "serves was learned in the same way from all of them.",
    )
    figures = (calibration(forecasts), gains_and_lift(forecasts))
    return Section("How good the forecasts are", words, figures, (Table("On the latest rows", head, tuple(rows)),))


def _figures(name: str, metrics: Metrics) -> tuple[Cell, ...]:
    return (
        name,
        metrics.rows,
        metrics.outcomes,
        metrics.auc,
        metrics.log_loss,
        metrics.log_loss_of_the_rate,
        metrics.calibration_error,
    )


def _choices(trained: Trained) -> Section:
    sides = (("said", trained.learning.said), ("nothing said", trained.learning.silent))
    rows = [_choice(f"{action}, {name}", model) for name, models in sides for action, model in models.items()]
    head = ("model", "learner", "learned from", "rows", "outcomes", "slope", "offset", "because it is cold")
    tables = [Table("Which learner each action has, and how its logit is calibrated", head, tuple(rows))]
    if trained.learning.left_out:
        left_out = tuple(trained.learning.left_out.items())
        tables.append(Table("Without a model, so with its prior", ("action", "why"), left_out))
    return Section("What was learned", (), (), tuple(tables))


def _choice(name: str, model: Model) -> tuple[Cell, ...]:
    choice, line = model.choice, model.platt
    return name, choice.learner.name, choice.pool, model.rows, model.outcomes, line.slope, line.offset, choice.cold


def _effects(trained: Trained) -> Section:
    decisions = trained.read.decisions
    served = Served(trained.folded, decisions.columns, decisions.actions)
    rng = np.random.default_rng(0)
    some = decisions.x[np.sort(rng.permutation(len(decisions))[:_MOST_ROWS])]
    columns = columns_of(trained.declared.space)
    effects = [Estimate(name, _moved(served, some, list(places), rng)) for name, places in columns.items()]
    words = (
        "How far the forecast of an action moves on average when one feature is taken from another decision. This says "
        "what the model looks at, and not what would cause an outcome.",
    )
    return Section("What the models look at", words, (feature_effects(effects, "mean change of the probability"),))


def _moved(served: Served, x: Floats, columns: list[int], rng: np.random.Generator) -> float:
    mixed = x.copy()
    mixed[:, columns] = x[rng.permutation(len(x))][:, columns]
    differences = np.abs(served.said(mixed) - served.said(x))
    return float(np.nanmean(differences)) if not np.isnan(differences).all() else 0.0


def _coverage(decisions: Decisions) -> Section:
    shares = np.bincount(decisions.action, minlength=len(decisions.actions)) / max(1, len(decisions))
    words = ("How often each action was said among the decisions of which it is known what came of them.",)
    figure = coverage_of_actions(decisions.actions, [("the log", shares.tolist())])
    return Section("What the log holds", words, (figure,))
