"""See the words of an evaluation before its long work: what they name must be there."""

from __future__ import annotations

import re
from pathlib import Path

from models.documents import Problem, read_folder
from models.outcomes import Outcomes, parse_outcomes
from models.schema import parse_context
from service.core.strategy import Strategy

_SIZE = re.compile(r"([1-9][0-9]{0,8})(MB|GB|MiB|GiB)")
_UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 1 << 20, "GiB": 1 << 30}
_LEAST_BYTES = 500_000_000
METHODS = ("ips", "snips", "dr")


def wrong(strategy: Strategy, folder: Path, worth: str, groups: str, method: str) -> str:
    """Return what is wrong with the words of an evaluation and what would be right; empty where nothing is."""
    if method not in METHODS:
        return f"--method: {method!r}; write one of {', '.join(METHODS)}"
    for field in filter(None, groups.split(",")):
        if field not in strategy.features:
            return f"--groups: there is no feature {field!r} to group by; there are {', '.join(strategy.features)}"
    try:
        _outcomes(folder).worth_by(_factors(worth))
    except ValueError as error:
        return f"--worth: {error}"
    return ""


def memory_wrong(text: str) -> str:
    """Return what is wrong with a size of memory by what the training takes; empty where nothing is."""
    found = _SIZE.fullmatch(text)
    if not text or (found and int(found[1]) * _UNITS[found[2]] >= _LEAST_BYTES):
        return ""
    return f"{text!r} is no memory to work in; write 500MB or more, as in 2GB"


def _factors(text: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in filter(None, text.split(","))]
        return {name.strip(): float(factor) for name, factor in pairs}
    except ValueError:
        raise ValueError(f"{text!r} is no worth; write factors as in spend=0.3,reward=-1") from None


def _outcomes(folder: Path) -> Outcomes:
    documents, problems = read_folder(folder), list[Problem]()
    return parse_outcomes(documents, parse_context(documents, problems), problems)
