"""`python -m training simulation-page`: a page with charts of what a simulation found, from its document."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

Report = dict[str, Any]


def add_to(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401  argparse has no public name for it
    """Add the command to a parser's commands."""
    page: argparse.ArgumentParser = commands.add_parser(
        "simulation-page", help="draw what a simulation found", description=_drawn.__doc__
    )
    page.set_defaults(command=_drawn, words=_words)
    page.add_argument(
        "--document", type=Path, required=True, metavar="FILE", help="what `tact simulate` found, as JSON"
    )
    page.add_argument("--report", type=Path, required=True, metavar="FILE", help="the page: one HTML file")
    return page


def _drawn(asked: argparse.Namespace) -> Report:
    """Draw what a simulation found as one HTML file."""
    from ..errors import TrainingRefused
    from ..report.page import write_report
    from .reporting import report

    try:
        told = json.loads(asked.document.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingRefused(f"{asked.document.name}: this is no simulation ({type(error).__name__})") from None
    write_report(asked.report, report(told))
    return {"report": str(asked.report)}


def _words(report: Report) -> str:
    return f"the page is {report['report']}"
