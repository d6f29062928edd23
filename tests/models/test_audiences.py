"""A field says whom explanations tell it; what it leaves unsaid follows from what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.context import Audience, ContextSchema
from models.schema import load_context
from service.core.depths import audience
from tests.models.test_schema import refused, with_field

CUSTOMER, AGENT, AUDITOR = Audience
COUNTED = "type: int, fold: {kind: count, event: thing.happened}"


def only(schema: ContextSchema) -> Audience:
    """Return to whom the one declared field is told."""
    return audience(schema.fields[schema.index["past.f"]], schema)


@pytest.mark.parametrize(
    ("declared", "told_to"),
    [
        ("type: int, source: request", CUSTOMER),
        (COUNTED, CUSTOMER),
        (f"{COUNTED}, told: inferred", AGENT),
        (f"{COUNTED}, told: sensitive", AUDITOR),
        (f"{COUNTED}, told: sensitive, told_to: agent", AGENT),
        (f"{COUNTED}, told: inferred, told_to: auditor", AUDITOR),
        (f"{COUNTED}, told_to: agent", AGENT),
        (f"{COUNTED}, told_to: customer", CUSTOMER),
    ],
)
def test_a_field_has_an_audience(declared: str, told_to: Audience, tmp_path: Path) -> None:
    """What is written counts; else customers are told what they expect, agents what is inferred, auditors the rest."""
    assert only(with_field(tmp_path, declared)) is told_to


@pytest.mark.parametrize("told", ["inferred", "sensitive"])
def test_what_is_not_expected_is_not_told_to_customers(told: str, tmp_path: Path) -> None:
    """A strategy that would tell customers what is inferred or sensitive is refused, with what would be right."""
    (problem,) = refused(tmp_path, f"{COUNTED}, told: {told}, told_to: customer")
    assert f"what is {told} is never told to customers; write `told_to: agent` or `auditor`" in problem


def test_an_audience_is_one_that_there_is(tmp_path: Path) -> None:
    """A slip is answered with the audiences that there are."""
    (problem,) = refused(tmp_path, f"{COUNTED}, told_to: customers")
    assert "customer, agent or auditor" in problem


@pytest.mark.parametrize(("told", "told_to"), [("inferred", AGENT), ("sensitive", AUDITOR)])
@pytest.mark.parametrize("written", ["", ", told_to: customer", ", told_to: agent"])
def test_what_tells_the_same_is_told_to_no_more(told: str, told_to: Audience, written: str, tmp_path: Path) -> None:
    """A field that is folded from the facts of a sensitive or inferred one is told to nobody else, whatever it says."""
    same = f"  - {{id: past.g, says: The same., purpose: service, {COUNTED}, told: {told}}}\n"
    with_field(tmp_path, f"type: double, fold: {{kind: sum, event: thing.happened, attribute: amount}}{written}")
    fields = tmp_path / "f.yaml"
    fields.write_text(fields.read_text() + same)
    schema = load_context(tmp_path)
    assert only(schema) is told_to
