"""`tact check`: load a strategy and say everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import Json, example
from service.cli.output import note, row, say, say_json, show, table

if TYPE_CHECKING:
    from models.documents import DocumentsRefused
    from service.core.strategy import Strategy

EXAMPLE = example("tact check strategies/demo")


def check(
    strategy: Annotated[Path, typer.Argument(metavar="STRATEGY", help="The strategy's folder.", show_default=False)],
    json: Json = False,
) -> int:
    """Load a strategy and say what is in it, or everything that is wrong, with file, line and what would be right."""
    from models.documents import DocumentsRefused
    from service.core.engine import Engine
    from service.core.loader import load_strategy

    try:
        loaded = load_strategy(strategy)
    except DocumentsRefused as refused:
        return _refused(refused, json)
    Engine(loaded, None)  # what can be loaded must also compile
    warnings = _warnings(loaded)
    summary = {"ok": True, "version": loaded.version, "says": loaded.says, **_counts(loaded), "warnings": warnings}
    if json:
        say_json(summary)
        return 0
    say(f"{loaded.version}: {loaded.says}")
    made = table("What", "How many or which")
    for name, value in _counts(loaded).items():
        row(made, name.replace("_", " "), value)
    show(made)
    for warning in warnings:
        note(f"warning: {warning}")
    return 0


def _warnings(strategy: Strategy) -> list[str]:
    """Say what a strategy may lack but hardly should."""
    found = []
    if not strategy.guardrails:
        found.append("there are no guardrails: nothing is ever forbidden, not even selling over an open ticket")
    if not strategy.caps:
        found.append("there are no caps: nobody is ever contacted too often")
    return found


def _refused(refused: DocumentsRefused, json: bool) -> int:
    if json:
        problems = [{"file": p.file, "line": p.line, "message": p.message} for p in refused.problems]
        say_json({"ok": False, "problems": problems})
        return 1
    for problem in refused.problems:
        say(f"{problem.file}:{problem.line}: {problem.message}")
    many = len(refused.problems)
    note(f"tact: {many} problem{'s' if many > 1 else ''}; nothing was loaded")
    return 1


def _counts(strategy: Strategy) -> dict[str, object]:
    from service.core.rules import Kind

    kinds = {f"{kind}s": sum(action.kind is kind for action in strategy.actions) for kind in Kind}
    return {
        "actions": len(strategy.actions),
        **kinds,
        "guardrails": len(strategy.guardrails),
        "eligibility_rules": len(strategy.eligibility),
        "caps": len(strategy.caps),
        "weights": len(strategy.weights),
        "events": len(strategy.schema.events),
        "fields": len(strategy.schema.fields),
        "features": len(strategy.features),
        "channels": [channel.id for channel in strategy.channels],
        "consent_levels": [level.id for level in strategy.levels],
        "safe_greeting": strategy.safe_greeting,
        "explore": strategy.explore,
    }
