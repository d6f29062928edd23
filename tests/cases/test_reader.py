"""Cases are read with the same care as strategies: every mistake is named with file, line and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from models.documents import DocumentsRefused
from service.cases.case import Case
from service.cases.reader import NOON_MS, read_cases
from service.core.loader import load_strategy
from service.core.rules import Answered
from service.core.strategy import Strategy
from tests.strategies import write_strategy

HERE = Path(__file__).parent
GOOD = (HERE / "good.yaml").read_text(encoding="utf-8")
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Bad:
    """One way to spoil the good cases, and how that is refused."""

    claim: str
    instead_of: str
    write: str
    refused: tuple[str, ...]

    @property
    def text(self) -> str:
        """The spoiled document."""
        assert GOOD.count(self.instead_of) == 1, self.instead_of
        return GOOD.replace(self.instead_of, self.write)


BAD = [Bad(**one) for one in yaml.safe_load((HERE / "bad.yaml").read_text(encoding="utf-8"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the small strategy's folder, with an empty place for cases."""
    home = write_strategy(tmp_path / "small")
    (home / "cases").mkdir()
    return home


@pytest.fixture
def strategy(folder: Path) -> Strategy:
    """Return the small strategy."""
    return load_strategy(folder)


def read(folder: Path, strategy: Strategy, **files: str) -> tuple[Case, ...]:
    """Write files of cases and read them."""
    for name, text in files.items():
        (folder / "cases" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return read_cases(folder, strategy)


@pytest.mark.parametrize("bad", BAD, ids=[bad.claim for bad in BAD])
def test_a_bad_case_is_refused_with_file_line_and_remedy(folder: Path, strategy: Strategy, bad: Bad) -> None:
    """Each mistake is found where it stands, told in words, and no other is made up."""
    with pytest.raises(DocumentsRefused) as caught:
        read(folder, strategy, good=bad.text)
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == len(bad.refused), found
    for line, wanted in zip(found, bad.refused, strict=True):
        assert line.startswith(wanted), line


def test_a_case_is_read_with_all_that_went_before(folder: Path, strategy: Strategy) -> None:
    """Customer, likeness, moment, contacts and replies arrive as they are written."""
    first, second = read(folder, strategy, good=GOOD)
    index = strategy.schema.index
    assert first.now_ms == NOON_MS
    assert first.customer.facts[index["past.paid_at"]] == NOON_MS - 20 * DAY_MS
    assert first.wanted.gets == {"hero": "fibre-upgrade"}
    assert (first.file, first.line) == ("cases/good.yaml", 13)
    assert second.now_ms == NOON_MS + 21 * 3_600_000
    assert second.customer.id == "silver"
    assert second.customer.level == "full"
    assert second.customer.permits == ("email",)
    facts = {strategy.schema.fields[place].id: value for place, value in second.customer.facts.items()}
    paid_ms = second.now_ms - 20 * DAY_MS
    assert facts == {"past.open_tickets": 1, "past.tier": "silver", "past.paid_at": paid_ms}
    (said,), (replied,) = second.said, second.replied
    assert (said.action, said.ago_ms, said.channel, said.placement) == ("apology", 10_800_000, "desk", "offer")
    assert (replied.action, replied.how, replied.ago_ms) == ("new-phone", Answered.REFUSED, 2 * DAY_MS)


def test_customers_of_one_file_are_those_of_all(folder: Path, strategy: Strategy) -> None:
    """A file of customers serves the cases of every other file, in whichever order they are read."""
    customers, _, cases = GOOD.partition("cases:\n")
    assert len(read(folder, strategy, a_cases=f"cases:\n{cases}", z_customers=customers)) == 2


def test_a_strategy_without_cases_has_none(tmp_path: Path) -> None:
    """Where there is no folder of cases there are none, and nothing is wrong."""
    home = write_strategy(tmp_path / "small")
    assert read_cases(home, load_strategy(home)) == ()


def test_cases_are_no_part_of_the_strategys_version(folder: Path, strategy: Strategy) -> None:
    """Writing a case, even a broken one, changes neither the strategy nor its version."""
    (folder / "cases" / "more.yaml").write_text(GOOD + "nonsense", encoding="utf-8")
    assert load_strategy(folder).version == strategy.version


def test_what_nobody_knows_is_unknown(folder: Path, strategy: Strategy) -> None:
    """A fact that is `unknown` is taken from the customer that a case is about."""
    text = GOOD.replace("facts: {past.open_tickets: 1}", "facts: {past.open_tickets: unknown}")
    assert strategy.schema.index["past.open_tickets"] not in read(folder, strategy, good=text)[1].customer.facts
