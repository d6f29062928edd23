"""What a strategy promises is read from the documents, and every mistake is named with what would be right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.documents import DocumentsRefused
from service.core.invariants import AtMost, Ends, Form, Invariant, Named, Never, Rests
from service.core.loader import load_strategy
from service.core.rules import Answered, Counts, Kind, Selector
from tests.core.policies import write_policy
from tests.project.tree import ROOT

DAY_MS = 86_400_000
BAD: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "bad_strategies" / "promises" / "invariants.yaml").read_text(encoding="utf-8")
)
GOOD = """\
invariants:
  - id: helped-first
    says: Whoever has a ticket is helped first.
    owner: Service
    from: 2026-01-01
    never: action.kind == 'offer' && action.price > past.spend
    while: past.open_tickets > 0
    on: [web, desk]
    unknown: permits
  - {id: by-permission, says: Only the law., never: contact without permission, except: {ids: [legal-notice]}}
  - {id: ends, says: All ends., always: suppressions end, except: [win-back]}
  - {id: often, says: Twice., at_most: 2, of: {kinds: [offer]}, within: 7d, counts: shown}
  - {id: daily, says: Once., at_most: 1, of: {kinds: [offer]}, within: day}
  - {id: no-is-no, says: A no., rests: {kinds: [offer]}, after: [refused, never], for: 30d}
  - {id: never, says: Never., rests: {kinds: [offer]}, after: [never], permanent: true}
"""


def read(folder: Path, text: str) -> tuple[Invariant, ...]:
    """Return the promises that are read from a section."""
    return load_strategy(write_policy(folder, invariants=text)).invariants


def test_every_sort_of_promise_is_read_with_its_place(tmp_path: Path) -> None:
    """What is not said, of a ready form, what ends, how often, and what rests: each with file, line, owner and time."""
    never, named, ends, often, daily, rests, for_good = read(tmp_path, GOOD)
    assert isinstance(never, Never)
    assert (never.written.file, never.written.line, never.written.owner) == ("invariants.yaml", 2, "Service")
    assert never.written.valid.from_ms == 1_767_225_600_000
    assert (never.when.source, never.when.line) == ("past.open_tickets > 0", 7)
    assert (never.channels, never.unknown_permits) == (("web", "desk"), True)
    assert isinstance(named, Named)
    assert (named.form, named.but) == (Form.WITHOUT_PERMISSION, Selector(ids=("legal-notice",)))
    assert isinstance(ends, Ends)
    assert ends.but == ("win-back",)
    assert isinstance(often, AtMost)
    assert isinstance(daily, AtMost)
    assert (often.at_most, often.within_ms, often.counts) == (2, 7 * DAY_MS, Counts.SHOWN)
    assert (daily.daily, often.daily, daily.count) == (True, False, Selector(kinds=(Kind.OFFER,)))
    assert isinstance(rests, Rests)
    assert isinstance(for_good, Rests)
    assert (rests.after, rests.for_ms) == ((Answered.REFUSED, Answered.NEVER), 30 * DAY_MS)
    assert for_good.for_ms is None


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["claim"])
def test_a_mistake_is_named_with_what_would_be_right(case: dict[str, Any], tmp_path: Path) -> None:
    """Each mistake is refused, alone and at its line."""
    with pytest.raises(DocumentsRefused) as caught:
        read(tmp_path, f"invariants:\n  - {case['promise']}\n")
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(case["refused"]), told
    for line, wanted in zip(told, case["refused"], strict=True):
        assert re.fullmatch(rf"invariants\.yaml:2: {re.escape(wanted)}.*", line), line


@pytest.mark.parametrize("name", ["demo", "bank", "starbucks", "trucks"])
def test_the_strategies_to_read_promise_something(name: str) -> None:
    """Each of the strategies that are read and copied says what holds whatever its rules say."""
    assert len(load_strategy(ROOT / "strategies" / name).invariants) >= 3
