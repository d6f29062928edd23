"""`tact prove`: what a strategy promises, proven for everything that can be known of a customer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.cases import show_refused
from service.cli.options import Json, example
from service.cli.output import Failed, note, progress, say, say_json

if TYPE_CHECKING:
    from service.core.strategy import Strategy
    from service.proving.proofs import Report

EXAMPLE = example("tact prove strategies/demo")
BROKEN, UNKNOWN = 1, 3
TIMEOUT_S = 5.0


def prove(
    strategy: Annotated[Path, typer.Argument(metavar="STRATEGY", help="The strategy's folder.", show_default=False)],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="Prove this alone; can be given again.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", help="How long one question may take.", min=0.01, max=3600.0)
    ] = TIMEOUT_S,
    findings: Annotated[
        bool, typer.Option("--findings/--no-findings", help="Also look for what is odd, such as dead rules (yes).")
    ] = True,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Know what was proven before (yes).")] = True,
    json: Json = False,
) -> int:
    """Prove what a strategy promises, or show a customer for whom a promise breaks, decided by the real engine.

    Ends with 0 where all is proven, with 1 where a promise is broken, with 3 where one could not be told.
    """
    from models.documents import DocumentsRefused
    from service.core.loader import load_strategy
    from service.proving.prove import promises_of

    try:
        loaded = load_strategy(strategy)
    except DocumentsRefused as refused:
        return show_refused(refused, json)
    names = {one.written.id for one in promises_of(loaded)}
    missing = [name for name in only or () if name not in names]
    if missing:
        raise Failed(f"there is no invariant `{missing[0]}`; there are {', '.join(sorted(names))}")
    report = proven(loaded, only=tuple(only or ()), timeout_s=timeout, findings=findings, cache=cache)
    say_json(document(report)) if json else show_report(report, loaded)
    return BROKEN if report.broken else UNKNOWN if report.unknown else 0


def proven(
    strategy: Strategy,
    *,
    only: tuple[str, ...] = (),
    timeout_s: float = TIMEOUT_S,
    findings: bool = True,
    cache: bool = True,
) -> Report:
    """Return what is proven and found of a strategy, with a progress bar where somebody looks."""
    from service.proving.kept import NOTHING_KEPT, Kept, folder_of
    from service.proving.prove import Wanted, promises_of, prove

    promises = promises_of(strategy, only)
    kept = Kept(folder_of(os.environ)) if cache else NOTHING_KEPT
    with progress("proving", len(promises), "promises") as bar:
        done = iter(range(1, len(promises) + 1))
        wanted = Wanted(only, timeout_s, findings)
        return prove(strategy, wanted, kept, lambda promise: bar.on(next(done), 1))


def show_broken(report: Report, strategy: Strategy, json: bool) -> int:
    """Print the promises that a strategy breaks as what is wrong with it, and return 1."""
    from service.proving.words import example_lines

    if json:
        problems = [{"file": p.file, "line": p.line, "message": f"`{p.id}` is broken: {p.says}"} for p in report.broken]
        say_json({"ok": False, "problems": problems, "broken": document(report)["proofs"]})
        return BROKEN
    for proof in report.broken:
        say(f"{proof.file}:{proof.line}: the promise `{proof.id}` is broken: {proof.says}")
        for line in (proof.why, *(example_lines(proof.example, strategy) if proof.example else ())):
            say(f"    {line}") if line else None
    many = len(report.broken)
    note(f"tact: {many} promise{'s are' if many > 1 else ' is'} broken; the strategy does not serve like this")
    return BROKEN


def warned(report: Report, strategy: Strategy) -> list[str]:
    """Return what could not be told, and what is odd, as warnings."""
    from service.proving.words import found_lines, in_one_line

    found = [line for one in report.findings for line in found_lines(one)]
    return [*(in_one_line(proof, strategy) for proof in report.unknown), *found]


def document(report: Report) -> dict[str, object]:
    """Return a report as JSON holds it."""
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(report)
    return {"ok": not report.broken, **plain}


def show_report(report: Report, strategy: Strategy) -> None:
    """Print each promise with its verdict, then what is odd."""
    from service.proving.words import found_lines, proof_lines, summary

    for proof in report.proofs:
        for line in proof_lines(proof, strategy):
            say(line)
    for found in report.findings:
        for line in found_lines(found):
            note(f"warning: {line}")
    note(summary(report))
