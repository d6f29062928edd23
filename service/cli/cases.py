"""`tact check --cases`: does the strategy decide what its cases say?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.output import Failed, note, say, say_json

if TYPE_CHECKING:
    from models.documents import DocumentsRefused
    from models.propensity import Folded
    from service.cases.verdict import Verdict
    from service.core.strategy import Strategy


def check_cases(folder: Path, strategy: Strategy, model: Path | None, json: bool) -> int:
    """Decide every case and print it as a sentence; return 1 where one comes out otherwise, or cannot be read."""
    from models.documents import DocumentsRefused
    from service.cases.reader import read_cases
    from service.cases.runner import Runner
    from service.cases.verdict import verdict_on

    try:
        cases = read_cases(folder, strategy)
    except DocumentsRefused as refused:
        return show_refused(refused, json)
    if not cases:
        raise Failed(f"there are no cases in {folder / 'cases'}; write some, as docs/cases.md shows")
    runner = Runner(strategy, _model(model, strategy))
    verdicts = [verdict_on(case, runner, strategy) for case in cases]
    say_json(_document(strategy, verdicts)) if json else _show(verdicts)
    return 0 if all(verdict.ok for verdict in verdicts) else 1


def count_cases(folder: Path, strategy: Strategy) -> int | None:
    """Return how many cases a strategy has; None where they cannot be read."""
    from models.documents import DocumentsRefused
    from service.cases.reader import read_cases

    try:
        return len(read_cases(folder, strategy))
    except DocumentsRefused:
        return None


def show_refused(refused: DocumentsRefused, json: bool) -> int:
    """Print everything that is wrong with documents, and return 1."""
    if json:
        problems = [{"file": p.file, "line": p.line, "message": p.message} for p in refused.problems]
        say_json({"ok": False, "problems": problems})
        return 1
    for problem in refused.problems:
        say(f"{problem.file}:{problem.line}: {problem.message}")
    many = len(refused.problems)
    note(f"tact: {many} problem{'s' if many > 1 else ''}; nothing was loaded")
    return 1


def _model(folder: Path | None, strategy: Strategy) -> Folded | None:
    from models.artifacts import ArtifactRefused, load_folded
    from models.features import FeatureSpace

    if folder is None:
        return None
    try:
        return load_folded(folder, FeatureSpace.of(strategy.schema, strategy.features))
    except ArtifactRefused as refused:
        raise Failed(str(refused)) from None


def _show(verdicts: list[Verdict]) -> None:
    from service.cases.sentences import line_of, summary, why

    for verdict in verdicts:
        say(line_of(verdict))
        for line in () if verdict.ok else why(verdict):
            say(f"          {line}")
    note(summary(verdicts))


def _document(strategy: Strategy, verdicts: list[Verdict]) -> dict[str, Any]:
    return {
        "ok": all(verdict.ok for verdict in verdicts),
        "version": strategy.version,
        "cases": [
            {
                "says": verdict.case.says,
                "file": verdict.case.file,
                "line": verdict.case.line,
                "ok": verdict.ok,
                "wrong": list(verdict.wrong),
                "got": {answer.placement: answer.action or None for answer in verdict.got.answers},
            }
            for verdict in verdicts
        ],
    }
