"""What a customer answered counts for the next decision, in every process, on every channel, under every id."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from service.rpc.client import Answer, Ask, Event, Outcome, TactClient
from tests.cli.commands import Process
from tests.strategies import edited, write_strategy

DAY_MS = 86_400_000
PLACES = (("web", "hero"), ("desk", "offer"), ("email", "body"))
CAPS = """\
caps:
  - {id: many-offers, says: Many offers., count: {kinds: [offer]}, at_most: 50, within: 7d}
  - {id: seen-once, says: One apology that was seen., count: {ids: [apology]}, at_most: 1, within: 24h, counts: shown}
"""
COOL_OFFS = """\
cool_offs:
  - {id: a-no-counts, says: A no counts., about: {kinds: [offer]}, after: [refused], for: [30d, 90d]}
  - {id: not-now, says: Not now., about: {kinds: [offer]}, after: [not_now], for: [3d], per: [group]}
  - {id: never, says: Never., about: {kinds: [offer]}, after: [never], permanent: true, per: [group]}
"""
CONSISTENCY = """\
consistency:
  - {id: one-story, says: One story., keep: {ids: [fibre-upgrade, new-phone]}, for: 7d, until_changes: []}
"""


@pytest.fixture(scope="module")
def targets(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve a strategy with cool-offs and a promise from two processes on one store, and return where."""
    strategy = write_strategy(
        tmp_path_factory.mktemp("answers") / "strategy",
        strategy=edited("strategy", "explore: 0.05", "explore: 0.0"),
        caps=CAPS,
        cool_offs=COOL_OFFS,
        consistency=CONSISTENCY,
    )
    with ExitStack() as opened:
        words = ("serve", "--store", store_url, "--strategy", strategy, "--port", "0", "--json", "--allow-as-of")
        first, second = (opened.enter_context(Process(*words)) for _ in range(2))
        yield first.serving().target, second.serving().target


@asynccontextmanager
async def clients(targets: tuple[str, str]) -> AsyncIterator[tuple[TactClient, TactClient]]:
    """Connect to both processes."""
    async with AsyncExitStack() as opened:
        first, second = [await opened.enter_async_context(TactClient(target, timeout_s=20.0)) for target in targets]
        yield first, second


async def seller(tact: TactClient, customer: str) -> None:
    """Make a customer to whom anything may be sold, and who has a session as a visitor."""
    now_ms = time.time_ns() // 1_000_000
    await tact.set_consent(customer, "full", ("email",))
    await tact.record_events(
        Event(f"{customer}-{what}", customer, f"ticket.{what}", now_ms - days * DAY_MS, {"ticket": "t1"})
        for what, days in (("opened", 3), ("closed", 2))
    )
    await tact.identities.link(f"visitor-{customer}", customer)


def action_of(answer: Answer) -> str:
    """Return what was said at the one placement that was asked for."""
    (placed,) = answer["answers"]
    return str((placed.get("offer") or placed.get("greeting") or {"action_id": ""})["action_id"])


def vetoes_of(answer: Answer, action: str) -> dict[str, str]:
    """Return the codes of what forbids an action, with their rules."""
    (fate,) = [one for one in answer["explanation"]["actions"] if one["action_id"] == action]
    return {veto["code"]: veto["rule_id"] for veto in fate["vetoes"]}


async def everywhere(tact: TactClient, customer: str) -> list[Answer]:
    """Ask on every channel, under the customer's id and under the visitor's."""
    ids = (customer, f"visitor-{customer}")
    return [await tact.decide(Ask(one, *place[:1], place[1:], explain=True)) for one in ids for place in PLACES]


@pytest.mark.parametrize(
    ("kind", "code", "rule"),
    [
        ("refused", "cooling_off", "a-no-counts"),
        ("not_now", "cooling_off", "not-now"),
        ("never", "never_again", "never"),
    ],
)
async def test_a_no_counts_at_once_in_every_process_on_every_channel_and_under_every_id(
    targets: tuple[str, str], kind: str, code: str, rule: str
) -> None:
    """What a visitor refused on the web in one process is offered nowhere by the other, and the rule is named."""
    customer = f"no-{kind}"
    async with clients(targets) as (first, second):
        await seller(first, customer)
        said = await first.decide(Ask(f"visitor-{customer}", "web", ("hero",)))
        assert action_of(said) == "fibre-upgrade"
        told = [Outcome(said["decision_id"], "fibre-upgrade", kind)]
        for _ in range(2):  # again, for a caller who never heard back
            await first.record_outcomes(told)
        for answer in await everywhere(second, customer):
            assert action_of(answer) == "new-phone"
            assert vetoes_of(answer, "fibre-upgrade")[code] == rule


async def test_a_promise_holds_on_every_channel_until_it_is_taken(targets: tuple[str, str]) -> None:
    """What one process said the other keeps to everywhere; once it was accepted nothing is promised any more."""
    async with clients(targets) as (first, second):
        await seller(first, "keeps")
        said = await first.decide(Ask("keeps", "desk", ("offer",)))
        assert action_of(said) == "fibre-upgrade"
        for answer in await everywhere(second, "keeps"):
            assert action_of(answer) == "fibre-upgrade"
            assert answer["answers"][0]["reasons"][0]["code"] == "promised"
            assert vetoes_of(answer, "new-phone")["promised_otherwise"] == "one-story"
        await second.record_outcomes([Outcome(said["decision_id"], "fibre-upgrade", "accepted", 50.0)])
        answer = await first.decide(Ask("visitor-keeps", "web", ("hero",), explain=True))
        assert vetoes_of(answer, "new-phone") == {}
        assert answer["answers"][0]["reasons"][0]["code"] == "highest_net_value"


async def test_a_refused_promise_gives_way_to_another_story(targets: tuple[str, str]) -> None:
    """Whoever refuses what was promised hears of something else, which is then promised on every channel."""
    async with clients(targets) as (first, second):
        await seller(first, "changes")
        said = await first.decide(Ask("changes", "desk", ("offer",)))
        await first.record_outcomes([Outcome(said["decision_id"], "fibre-upgrade", "refused")])
        asked = [await second.decide(Ask("changes", *place[:1], place[1:])) for place in PLACES]
        assert [action_of(answer) for answer in asked] == ["new-phone"] * 3
        codes = [answer["answers"][0]["reasons"][0]["code"] for answer in asked]
        assert codes == ["highest_net_value", "promised", "promised"]


async def test_what_was_shown_counts_also_when_that_is_told_late_and_what_was_not_does_not(
    targets: tuple[str, str],
) -> None:
    """Two hours after an apology the one who saw it hears no other, and the one who never saw it does."""
    before = datetime.now(UTC) - timedelta(hours=2)
    async with clients(targets) as (first, second):
        for customer, seen in (("saw", True), ("missed", False)):
            said = await first.decide(Ask(customer, "web", ("hero",), as_of=before))
            assert action_of(said) == "apology"
            if seen:
                await first.record_outcomes([Outcome(said["decision_id"], "apology", "shown", occurred_at=before)])
            again = await second.decide(Ask(customer, "web", ("hero",), explain=True))
            assert action_of(again) == ("" if seen else "apology")
            assert vetoes_of(again, "apology").get("cap_reached", "") == ("seen-once" if seen else "")
