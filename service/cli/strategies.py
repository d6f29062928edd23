"""`tact check`: load a strategy and say everything that is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.cases import check_cases, count_cases, show_refused
from service.cli.options import Json, example
from service.cli.output import note, row, say, say_json, show, table
from service.cli.prove import proven, show_broken, warned

if TYPE_CHECKING:
    from service.core.strategy import Strategy
    from service.proving.proofs import Report

EXAMPLE = example("tact check strategies/demo --cases")


def check(
    strategy: Annotated[Path, typer.Argument(metavar="STRATEGY", help="The strategy's folder.", show_default=False)],
    cases: Annotated[
        bool, typer.Option("--cases", help="Decide the strategy's cases, and end with 1 where one comes out otherwise.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --cases: the model to decide with (default: priors).")
    ] = None,
    proofs: Annotated[
        bool,
        typer.Option("--prove/--no-prove", help="Without --cases: prove what is promised, as `tact prove` does (yes)."),
    ] = True,
    json: Json = False,
) -> int:
    """Load a strategy and say what is in it, or everything that is wrong, with file, line and what would be right.

    A strategy that breaks what it promises is refused, too.
    """
    from models.documents import DocumentsRefused
    from service.core.engine import Engine
    from service.core.loader import load_strategy

    try:
        loaded = load_strategy(strategy)
    except DocumentsRefused as refused:
        return show_refused(refused, json)
    Engine(loaded, None)  # what can be loaded must also compile
    if cases:
        return check_cases(strategy, loaded, model, json)
    report = proven(loaded) if proofs else None
    if report is not None and report.broken:
        return show_broken(report, loaded, json)
    _show_summary(loaded, strategy, report, json)
    return 0


def _show_summary(loaded: Strategy, folder: Path, report: Report | None, json: bool) -> None:
    from service.core.advice import advice

    warnings, many = list(advice(loaded, int(time.time() * 1000))), count_cases(folder, loaded)
    odd = warned(report, loaded) if report else []
    if many is None:
        warnings.append("the cases cannot be read; see what is wrong with them with --cases")
    counts = {**_counts(loaded, folder), "cases": many}
    if json:
        told = {"warnings": warnings, "findings": odd}
        say_json({"ok": True, "version": loaded.version, "says": loaded.says, **counts, **told})
        return
    say(f"{loaded.version}: {loaded.says}")
    made = table("What", "How many or which")
    for name, value in counts.items():
        row(made, name.replace("_", " "), value)
    show(made)
    for warning in (*warnings, *odd):
        note(f"warning: {warning}")


def _counts(strategy: Strategy, folder: Path) -> dict[str, object]:
    from models.documents import read_folder
    from models.predictions import parse_predictions
    from models.records import section_records
    from service.core.rules import Kind, Layer

    documents = read_folder(folder)
    return {
        "actions": len(strategy.actions),
        **{f"{kind}s": sum(action.kind is kind for action in strategy.actions) for kind in Kind},
        "attributes": len(strategy.attributes),
        "guardrails": len(strategy.guardrails),
        "recovery_rules": len(section_records(documents, "recovery", "", [])),
        "quiet_hours": len(section_records(documents, "quiet_hours", "", [])),
        **{f"{layer}_rules": sum(rule.layer is layer for rule in strategy.eligibility) for layer in Layer},
        "caps": len(strategy.caps),
        "cool_offs": len(strategy.cool_offs),
        "consistency_rules": len(strategy.promises),
        "exemptions": len(strategy.exemptions),
        "invariants": len(strategy.invariants),
        "weights": len(strategy.weights),
        "supplies": len({field.supplied for field in strategy.schema.fields if field.supplied}),
        "actions_that_consume": sum(action.consumes is not None for action in strategy.actions),
        "demand_rules": len(strategy.demand),
        "triggers": len(strategy.triggers),
        "predictions": len(parse_predictions(documents, strategy.schema, [])),
        "events": len(strategy.schema.events),
        "fields": len(strategy.schema.fields),
        "features": len(strategy.features),
        "channels": [channel.id for channel in strategy.channels],
        "consent_levels": [level.id for level in strategy.levels],
        "safe_greeting": strategy.safe_greeting,
        "explore": strategy.explore,
    }
