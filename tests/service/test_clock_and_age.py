"""Claims about a whole service: rules live by the customer's clock, and explanations tell how old things are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from models.context import Scalar
from models.schema import load_context
from service.rpc.client import Ask, CallFailed, Event, TactClient
from tests.cli.commands import Process
from tests.strategies import SECTIONS, write_strategy

MOVED = "  - {id: moved, says: They moved., attributes: {zone: string}}\n"
ZONE = """\
  - {id: past.zone, says: Where they live., type: string, purpose: service,
     fold: {kind: last, event: moved, attribute: zone}}
"""
REST = """\
guardrails:
  - id: let-them-sleep
    says: Nobody is sold anything before seven, or on a Sunday.
    forbid: {kinds: [offer]}
    when: present.hour < 7 || present.weekday == 7
"""
MONDAY_NOON = "2026-06-08T12:00:00Z"


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the small strategy, with a clock and a rule that lives by it."""
    sections = {"events": SECTIONS["events"] + MOVED, "fields": SECTIONS["fields"] + ZONE, "guardrails": REST}
    clock = "time_zone: {field: past.zone, default: Europe/Berlin}\n"
    return write_strategy(tmp_path_factory.mktemp("strategy"), **sections, time_zone=clock)


@pytest.fixture(scope="module")
def target(strategy: Path, store_url: str) -> Iterator[str]:
    """Return where a service of its own process serves the strategy over a real store."""
    with Process(
        "serve", "--store", store_url, "--strategy", strategy, "--port", "0", "--allow-as-of", "--json"
    ) as service:
        yield service.serving().target


@asynccontextmanager
async def calling(target: str, strategy: Path) -> AsyncIterator[TactClient]:
    """Yield a client that knows the strategy's types."""
    async with TactClient(target, schema=load_context(strategy)) as tact:
        yield tact


async def seen(tact: TactClient, customer: str, at: str, **context: Scalar) -> dict[str, Any]:
    """Return the fields of a decision as of a moment, and the rules that forbid to sell fibre."""
    given = {f"present.{name}": value for name, value in context.items()}
    answer = await tact.decide(Ask(customer, "web", ("hero",), context=given, explain=True, as_of=at))
    codes = {
        action["action_id"]: [v["rule_id"] for v in action["vetoes"]] for action in answer["explanation"]["actions"]
    }
    fields = {field["field_id"]: field for field in answer["explanation"]["fields"]}
    return {"fields": fields, "forbidding fibre": codes["fibre-upgrade"]}


async def happened(tact: TactClient, customer: str, type_: str, at: str, **attributes: Scalar) -> None:
    """Record one event."""
    answer = await tact.record_events([Event(f"{type_}-{at}", customer, type_, at, attributes)])
    assert [result["status"] for result in answer["results"]] == ["stored"]


async def test_rules_live_by_the_customers_clock(target: str, strategy: Path) -> None:
    """At one moment it is afternoon in Berlin and in Kathmandu, and night in Los Angeles: nobody is woken."""
    async with calling(target, strategy) as tact:
        zones = {"anna": None, "bob": "America/Los_Angeles", "eve": "Asia/Kathmandu", "kai": "Mars/Olympus"}
        for customer, zone in zones.items():
            await tact.set_consent(customer, "full", given_at="2026-01-01T00:00:00Z")
            if zone:
                await happened(tact, customer, "moved", "2026-05-01T00:00:00Z", zone=zone)
        told = {customer: await seen(tact, customer, MONDAY_NOON) for customer in zones}
        assert {name: clock(found) for name, found in told.items()} == {
            "anna": (14, 1), "bob": (5, 1), "eve": (17, 1), "kai": (None, None),
        }  # fmt: skip
        sold = {name for name, found in told.items() if "let-them-sleep" not in found["forbidding fibre"]}
        assert sold == {"anna", "eve"}
        sunday = await seen(tact, "anna", "2026-06-07T12:00:00Z")
        assert clock(sunday) == (14, 7)
        assert "let-them-sleep" in sunday["forbidding fibre"]


def clock(found: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return hour and weekday of an explanation."""
    hour, weekday = (found["fields"][name] for name in ("present.hour", "present.weekday"))
    assert "age_seconds" not in hour | weekday
    return hour.get("value"), weekday.get("value")


async def test_a_request_cannot_tell_the_hour(target: str, strategy: Path) -> None:
    """Who sends an hour is told that it comes from the clock."""
    async with calling(target, strategy) as tact:
        with pytest.raises(CallFailed) as refused:
            await seen(tact, "anna", MONDAY_NOON, hour=3)
        (violation,) = refused.value.violations
        assert violation.field == 'context["present.hour"]'
        assert violation.description == "is told by the customer's clock, not by requests; leave it out."


async def test_an_explanation_tells_how_old_everything_is(target: str, strategy: Path) -> None:
    """Each field has its age; one that is too old is unknown, with its age; what was never heard of has none."""
    async with calling(target, strategy) as tact:
        await tact.set_consent("ada", "full", given_at="2026-01-01T00:00:00Z")
        await happened(tact, "ada", "survey.answered", "2026-03-01T12:00:00Z", score=9)
        await happened(tact, "ada", "purchase", "2026-06-06T12:00:00Z", amount=20.0, product="tv-m")
        fields = (await seen(tact, "ada", MONDAY_NOON, sentiment=0.5))["fields"]
        two_days, ninety_nine_days = 2 * 86_400, 99 * 86_400
        assert (fields["past.spend"]["value"], fields["past.spend"]["age_seconds"]) == (20.0, two_days)
        assert (fields["past.worst_score"]["value"], fields["past.worst_score"]["age_seconds"]) == (9, ninety_nine_days)
        assert "value" not in fields["past.best_score"]  # its maximum age is 90 days
        assert fields["past.best_score"]["age_seconds"] == ninety_nine_days
        assert fields["past.tier"].keys() == {"field_id", "purpose", "used"}
        assert fields["present.sentiment"].keys() == {"field_id", "purpose", "used", "value"}
        same = (await tact.get_context("ada", MONDAY_NOON))["fields"]
        states = {field["field_id"]: field["state"] for field in same}
        assert (states["past.best_score"], states["past.worst_score"], states["past.tier"]) == (
            "stale", "known", "never_seen",
        )  # fmt: skip


def test_the_moment_of_these_tests_is_a_monday() -> None:
    """The week of the tests is the calendar's."""
    assert datetime.fromisoformat(MONDAY_NOON).isoweekday() == 1
