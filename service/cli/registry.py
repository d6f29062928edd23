"""`tact models list`, `tact models card` and `tact models history`: what a registry holds, and how it came to be."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.becoming import become
from service.cli.options import Json, example
from service.cli.output import Failed, say, say_json
from service.config import DEFAULT_STRATEGY

if TYPE_CHECKING:
    from models.registry import Registered

LIST_EXAMPLE = example("tact models list --models data/models")
CARD_EXAMPLE = example("tact models card demo@3f9a0c11d2e4")
HISTORY_EXAMPLE = example("tact models history demo")
SHADOW_EXAMPLE = example("tact models shadow --log data/log --strategy strategies/demo")

Root = Annotated[Path, typer.Option("--models", metavar="DIR", help="The registry: DIR/NAME/VERSION.")]
_ROOT = Path("data/models")


def list_models(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this model.", show_default=False)] = "",
    models: Root = _ROOT,
    json: Json = False,
) -> int:
    """List the versions of models, and which is the champion; ends with 1 where any is refused, and says why."""
    from models.artifacts import ArtifactRefused
    from models.registry import NotInRegistry, listed

    try:
        found = listed(models, name)
    except (NotInRegistry, ArtifactRefused) as refused:
        raise Failed(str(refused)) from None
    if json:
        say_json({"versions": [_document(one) for one in found]})
    for one in () if json else found:
        say(_line(one))
    if not found and not json:
        say(f"{models} holds no model")
    return 1 if any(one.refused for one in found) else 0


def card(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="NAME@DIGITS.", show_default=False)],
    models: Root = _ROOT,
    json: Json = False,
) -> None:
    """Print the card of a version: what it is for, from what data, how good, its limits, and its fairness table."""
    from models.artifacts import ArtifactRefused, read_artifact
    from models.cards import card_of
    from models.registry import NotInRegistry, found

    try:
        artifact = read_artifact(found(models, version))
    except (NotInRegistry, ArtifactRefused) as refused:
        raise Failed(str(refused)) from None
    text = artifact.card or card_of(artifact.manifest)
    if json:
        say_json({"version": artifact.manifest.version, "card": text})
    else:
        say(_shown(text.rstrip()))


def _shown(text: str) -> str:
    """Return a text whose control characters, which a terminal would obey, are written as escapes."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf") else ascii(c)[1:-1] for c in text)


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.", show_default=False)],
    models: Root = _ROOT,
    json: Json = False,
) -> None:
    """Tell which versions were promoted or refused at the gate, when, by whom, and why."""
    from models.artifacts import NAME
    from models.registry import promotions

    if not NAME.fullmatch(name) or not (models / name).is_dir():
        raise Failed(f"there is no model {name!r} in {models}; see `tact models list`")
    told = promotions(models / name)
    if json:
        say_json({"promotions": list(told)})
        return
    for one in told:
        say(_promotion(one))
    if not told:
        say(f"nothing of {name} was ever promoted")


def shadow(
    log: Annotated[Path, typer.Option(metavar="DIR", help="The log: the folder of `tact log export`, or one file.")],
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    challenger: Annotated[str, typer.Option(metavar="VERSION", help="Which one (the most frequent).")] = "",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What it may take, such as 4GB (2GB).")] = "",
    json: Json = False,
) -> None:
    """Compare a challenger with the champion by the log: how often they agreed, and whose forecasts were truer."""
    said = {"--log": log, "--strategy": strategy, "--challenger": challenger, "--memory": memory}
    become("shadow", *(f"{name}={value}" for name, value in said.items() if value), *(("--json",) if json else ()))


def _line(one: Registered) -> str:
    mark = "champion" if one.champion else "        "
    if one.manifest is None:
        return f"{one.version}  {mark}  REFUSED: {one.refused}"
    of = getattr(one.manifest, "of", "")
    kind = f"recalibrated from {of}" if of else getattr(one.manifest, "predicts", "") or "trained"
    return f"{one.version}  {mark}  {kind}, data to {one.manifest.rows.last[:16]}{_quality(one.manifest.metrics)}"


def _quality(metrics: Mapping[str, Any]) -> str:
    figures = (metrics.get("said") or {}).get("all") if isinstance(metrics.get("said"), dict) else None
    if not isinstance(figures, dict):
        return ""
    named = {"auc": "AUC", "log_loss": "log loss", "calibration_error": "calibration error"}
    told = [f"{says} {figures[name]:.4f}" for name, says in named.items() if isinstance(figures.get(name), float)]
    return f", {', '.join(told)}" if told else ""


def _document(one: Registered) -> dict[str, Any]:
    told: dict[str, Any] = {"version": one.version, "champion": one.champion, "refused": one.refused or None}
    if one.manifest is not None:
        manifest = one.manifest
        told |= {"kind": getattr(manifest, "kind", "prediction"), "of": getattr(manifest, "of", "") or None}
        told |= {"first": manifest.rows.first, "last": manifest.rows.last, "metrics": manifest.metrics}
    return told


def _promotion(one: Mapping[str, Any]) -> str:
    by = f" by {one['by']}" if one.get("by") else ""
    if one.get("back_because"):
        return f"{one.get('at')}  {one.get('version')} back{by}: {one['back_because']}"
    if one.get("passed"):
        return f"{one.get('at')}  {one.get('version')} promoted{by}, against {one.get('against')}"
    failed = [f"{c.get('name')}: {c.get('words')}" for c in one.get("criteria", ()) if not c.get("passed")]
    return f"{one.get('at')}  {one.get('version')} not promoted{by}: {'; '.join(failed)}"
