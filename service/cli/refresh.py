"""`tact refresh`: the nearline job that asks models again about the customers of whom something changed."""

from __future__ import annotations

import asyncio
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, note, say, say_json
from service.cli.serve import run_loop
from service.config import DEFAULT_STRATEGY
from service.signals import Signals, Told

if TYPE_CHECKING:
    from models.context import ContextSchema
    from models.predictors import Predictor
    from service.cli.refreshing import Refreshed, Refresher

EXAMPLE = example("tact refresh --model data/models/demo-churn/3f9a0c11d2e4 --once")
TRIED_AGAIN_S = 1.0
VERIFY_WITHIN_S = 120.0


def refresh(
    model: Annotated[
        list[Path], typer.Option(metavar="DIR", help="The folder of one trained predictor; can be repeated.")
    ],
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    once: Annotated[bool, typer.Option("--once", help="End when nobody is left who changed and is not lent.")] = False,
    customers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Refresh these instead, one id a line, such as for a new model; then end."),
    ] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> int:
    """Ask trained predictors again about customers of whom something changed, and write what they say back.

    Nothing is computed or written about customers who have not agreed to it. Several may run at once: they share the
    work. Without --once or --customers it goes on until SIGTERM or Ctrl-C. Where a customer cannot be read, the others
    are refreshed, that one is given out again after a minute, and the job ends with 1.
    """
    return run_loop(_refresh(model, strategy, once, customers, target, json))


async def _refresh(
    folders: list[Path], strategy: Path, once: bool, customers: Path | None, target: str, json: bool
) -> int:
    from service.cli.calls import in_words
    from service.cli.refreshing import AnotherStrategy, Refresher
    from service.cli.securing import secured
    from service.rpc.client import CallFailed, TactClient

    schema, predictors = load_predictors(strategy, folders)
    signals = Signals()
    try:
        await signals.unless_told(verify_predictors(folders, predictors))
    except Told:
        return 0
    async with TactClient(target, schema=schema, secured=secured(target)) as client:
        job = Refresher(client, schema, predictors)
        try:
            await signals.unless_told(_worked(job, once, customers, target))
        except Told:
            pass
        except CallFailed as failed:
            raise Failed(in_words(failed, target)) from None
        except AnotherStrategy as differs:
            raise Failed(
                f"the service does not have {differs} as {strategy} has it; name the strategy it serves"
            ) from None
    for unread in job.refreshed.unread:
        note(f"a customer could not be read: {in_words(unread, target)}")
    _report(job.refreshed, predictors, json)
    return 0 if job.refreshed.complete else 1


async def _worked(job: Refresher, once: bool, customers: Path | None, target: str) -> None:
    from service.cli.calls import in_words
    from service.cli.refreshing import batches_of
    from service.rpc.client import CallFailed

    if customers is not None:
        for batch in batches_of(iter(_ids(customers))):
            await job.refresh(batch)
        return
    while True:
        try:
            async for _ in job.changed(once=once):
                pass
        except CallFailed as failed:
            if once or failed.code == "INVALID_ARGUMENT":
                raise
            note(f"{in_words(failed, target)}; trying again")  # what was lent is given out again when its time is over
        if once:
            return
        await asyncio.sleep(TRIED_AGAIN_S)


def load_predictors(strategy: Path, folders: list[Path]) -> tuple[ContextSchema, tuple[Predictor, ...]]:
    """Load predictors that were made for a strategy's declarations; raise `Failed` in words where one was not."""
    from models.artifacts import ArtifactRefused
    from models.documents import DocumentsRefused, read_folder
    from models.predictions import parse_predictions
    from models.predictor_artifacts import load_predictor
    from models.schema import parse_context

    try:
        documents = read_folder(strategy)
        problems = list(documents.problems)
        schema = parse_context(documents, problems)
        predictions = {one.field: one for one in parse_predictions(documents, schema, problems)}
        if problems:
            raise DocumentsRefused(problems)
        predictors = tuple(load_predictor(folder, schema, predictions) for folder in folders)
    except (DocumentsRefused, ArtifactRefused) as refused:
        raise Failed(str(refused)) from None
    twice = [one.prediction.field for one in predictors]
    if again := next((name for name in twice if twice.count(name) > 1), None):
        raise Failed(f"two models predict {again}; name one of them", 2)
    return schema, predictors


async def verify_predictors(folders: list[Path], predictors: tuple[Predictor, ...]) -> None:
    """Have predictors verified in a process of its own, which alone may import scikit-learn; raise `Failed`."""
    from service.children import run_module

    verified = await run_module("training", ("verify", *map(str, folders), "--json"), timeout_s=VERIFY_WITHIN_S)
    if verified.code != 0:
        raise Failed(f"A model was not verified and is not asked: {verified.last_words}")
    answer: dict[str, Any] = loads(verified.output)
    versions = [one["version"] for one in answer.get("verified", [answer])]
    if versions != [one.version for one in predictors]:
        raise Failed("a model changed while it was verified; try again")


def _ids(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise Failed(f"{path}: is not UTF-8; write one customer id a line") from None


def _report(refreshed: Refreshed, predictors: tuple[Predictor, ...], json: bool) -> None:
    for problem in refreshed.refused:
        note(problem)
    versions = {one.prediction.field: one.version for one in predictors}
    if json:
        counts = {"customers": dict(refreshed.customers), "predictions": dict(refreshed.predictions)}
        say_json({**counts, "versions": versions, "seconds": round(refreshed.seconds, 3)})
        return
    customers = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in refreshed.customers.items())
    said = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in refreshed.predictions.items())
    rate = refreshed.seen / max(refreshed.seconds, 1e-9)
    say(f"{refreshed.seen:,} customers: {customers}; predictions: {said}; {refreshed.seconds:.1f} s, {rate:,.0f}/s")
