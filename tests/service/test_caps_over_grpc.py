"""Caps of every kind hold over gRPC, asked of four processes at once, and what nobody was shown is had again.

TACT_CAP_REQUESTS says how many decisions are asked for. They are made for moments of the past, a tenth of a second
apart, so that minutes go by while the test runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from redis import Redis

from service.core import plan
from service.rpc.client import Answer, Ask, Outcome, TactClient
from service.store import keys
from tests.cli.commands import Process

PROCESSES = 4
REQUESTS = int(os.environ.get("TACT_CAP_REQUESTS", "2000"))
AT_ONCE = 96
STEP_MS = 100
MINUTE_MS = 60_000
BERLIN = ZoneInfo("Europe/Berlin")
CUSTOMERS = ("ada", "bo", "cy")
ALIAS = "ada at home"
SELLING = frozenset({"fibre", "dsl", "phone", "tv"})
SHOWN, CLICKED = 1, 2


@dataclass(frozen=True, slots=True)
class Rule:
    """A cap in words of this test: of these actions so many within so long (0: a day), what counts, and what apart."""

    id: str
    actions: frozenset[str]
    at_most: int
    within_ms: int
    kind: int = 0
    by_action: bool = False
    by_channel: bool = False


RULES = (
    Rule("five-a-minute", SELLING, 5, MINUTE_MS),
    Rule("each-twice-a-minute", SELLING, 2, MINUTE_MS, by_action=True, by_channel=True),
    Rule("net-by-day", frozenset({"fibre", "dsl"}), 6, 0),
    Rule("phones-shown", frozenset({"phone"}), 2, 2 * MINUTE_MS, SHOWN),
    Rule("tv-clicked", frozenset({"tv"}), 2, 10 * MINUTE_MS, CLICKED),
)
CAPS = """\
caps:
  - {id: five-a-minute, says: Five offers a minute., count: {kinds: [offer]}, at_most: 5, within: 1m}
  - id: each-twice-a-minute
    says: Each twice a minute on each channel.
    count: {kinds: [offer]}
    at_most: 2
    within: 1m
    per: [action, channel]
  - {id: net-by-day, says: Six a day., count: {groups: [net]}, at_most: 6, within: day}
  - {id: phones-shown, says: Two., count: {ids: [phone]}, at_most: 2, within: 2m, counts: shown, hold: 1m}
  - {id: tv-clicked, says: Two., count: {ids: [tv]}, at_most: 2, within: 10m, counts: clicked, hold: 1m}
"""
ACTION = """\
  - id: {id}
    kind: {kind}
    says: Something.
    {more}propensity: 0.5
    treatments:
      - {{channel: web, placements: [hero, side], text: "{id}"}}
      - {{channel: app, placements: [hero, side], text: "{id}"}}
"""


def _actions() -> Iterator[str]:
    yield ACTION.format(id="hello", kind="greeting", more="")
    for n, (action, group) in enumerate({"fibre": "net", "dsl": "net", "phone": "mobile", "tv": "home"}.items()):
        more = f"group: {group}\n    intents: [cross_sell]\n    value: {10.0 + n}\n    "
        yield ACTION.format(id=action, kind="offer", more=more)


STRATEGY = {
    "strategy": "strategy: {name: crowd, says: Many offers., currency: EUR, safe_greeting: hello, explore: 0.5}\n",
    "consent": """\
consent:
  - {id: none, says: Nothing is agreed., purposes: []}
  - {id: all, says: Everything is agreed., purposes: [service, personalization, profiling]}
""",
    "channels": "channels:\n  - {id: web, placements: [hero, side]}\n  - {id: app, placements: [hero, side]}\n",
    "events": "events:\n  - {id: moved, says: A customer moved., attributes: {zone: string}}\n",
    "fields": """\
fields:
  - id: past.zone
    says: The time zone.
    type: string
    purpose: service
    fold: {kind: last, event: moved, attribute: zone}
""",
    "time_zone": "time_zone: {field: past.zone, default: Europe/Berlin}\n",
    "actions": "actions:\n" + "".join(_actions()),
    "caps": CAPS,
}


@pytest.fixture
def targets(clean_store_url: str, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Serve the strategy from four processes on one store, and return where."""
    folder = tmp_path / "strategy"
    folder.mkdir()
    for name, text in STRATEGY.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    words = ("--store", clean_store_url, "--strategy", folder, "--port", "0", "--json", "--allow-as-of")
    with ExitStack() as open_processes:
        started = [open_processes.enter_context(Process("serve", *words)) for _ in range(PROCESSES)]
        yield tuple(process.serving().target for process in started)


def first_ms() -> int:
    """Return a moment some weeks ago, two minutes before a midnight in Berlin."""
    day = datetime.now(BERLIN).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=25)
    return round(day.timestamp() * 1_000) - 2 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Said:
    """One action that was said: to whom, where, when, and when it was shown and clicked (0: never)."""

    customer: str
    action: str
    channel: str
    at_ms: int
    shown_ms: int = 0
    clicked_ms: int = 0

    def counts_ms(self, rule: Rule) -> int:
        """Return from when this counts for a rule; 0 for never."""
        return (self.at_ms, self.shown_ms, self.clicked_ms)[rule.kind]


def said_by_log(url: str) -> list[Said]:
    """Read what was said from the decision logs, and what came of it from the outcomes."""
    found: dict[tuple[str, str], Said] = {}
    with Redis.from_url(url) as raw:
        for customer in (*CUSTOMERS, ALIAS):
            for _, row in raw.xrange(keys.log_key(keys.bucket(customer))):
                entry = plan.unpack(row[b"e"])
                for placed, rank in zip(entry.placements, msgspec.msgpack.decode(row[b"c"]), strict=True):
                    if entry.customer == customer and rank >= 0:
                        action = placed.candidates[rank].action
                        found[entry.decision_id, action] = Said(customer, action, entry.channel, entry.at_ms)
            for _, row in raw.xrange(keys.out_key(keys.bucket(customer))):
                which = row[b"d"].decode(), row[b"a"].decode()
                if (said := found.get(which)) is not None:
                    at_ms = int(row[b"t"])
                    shown = int(row[b"k"]) == SHOWN
                    found[which] = replace(said, shown_ms=at_ms) if shown else replace(said, clicked_ms=at_ms)
    return list(found.values())


def violations(said: Iterable[Said], rules: Sequence[Rule]) -> list[str]:
    """Return each rule that was broken, by whom and when: counted again in the plainest way."""
    broken = []
    for rule in rules:
        parts: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for one in said:
            if one.action in rule.actions and (at_ms := one.counts_ms(rule)):
                apart = (one.action if rule.by_action else "", one.channel if rule.by_channel else "")
                parts[one.customer, *apart].append(at_ms)
        for part, times in parts.items():
            broken += [f"{rule.id} {part} {at_ms}" for at_ms in _beyond(sorted(times), rule)]
    return broken


def _beyond(times: list[int], rule: Rule) -> list[int]:
    pairs = zip(times, times[rule.at_most :], strict=False)
    if rule.within_ms:
        return [late for early, late in pairs if late - early < rule.within_ms]
    return [late for early, late in pairs if _day(early) == _day(late)]


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, BERLIN).date().isoformat()


class Callers:
    """Those who ask, through all processes at once."""

    def __init__(self, clients: Sequence[TactClient], begin_ms: int) -> None:
        self._clients = clients
        self._begin_ms = begin_ms
        self.degraded = 0

    async def all(self, numbers: range) -> None:
        """Ask and answer, many at once, and none more than some seconds ahead of another: so nothing is told late."""
        for first in numbers[::AT_ONCE]:
            part = range(first, min(first + AT_ONCE, numbers.stop))
            await asyncio.gather(*(self.one(self._clients[n % PROCESSES], n) for n in part))

    async def one(self, client: TactClient, n: int) -> None:
        """Ask once; what is said is mostly shown, and mostly clicked then."""
        at_ms = self._begin_ms + n * STEP_MS
        who = (*CUSTOMERS, ALIAS)[n % 4]
        answer = await client.decide(Ask(who, ("web", "app")[n % 2], ("hero", "side"), as_of=at_ms))
        if not answer["decision_id"]:
            self.degraded += 1
            return
        dice, told = Random(n), []
        for action in actions_of(answer) if dice.random() < 0.7 else ():
            told.append(Outcome(answer["decision_id"], action, "shown", occurred_at=at_ms + 20))
            if dice.random() < 0.7:
                told.append(Outcome(answer["decision_id"], action, "clicked", occurred_at=at_ms + 500))
        if told:
            results = (await client.record_outcomes(told))["results"]
            assert {result["status"] for result in results} == {"stored"}


def actions_of(answer: Answer) -> list[str]:
    """Return what an answer says."""
    said = [placed.get("greeting") or placed.get("offer") for placed in answer["answers"]]
    return [str(one["action_id"]) for one in said if one]


async def fitting(client: TactClient, customer: str, at_ms: int) -> Mapping[str, int]:
    """Ask on both channels until nothing is offered any more; return how often what was."""
    offered: dict[str, int] = defaultdict(int)
    for n in range(12):
        answer = await client.decide(Ask(customer, ("web", "app")[n % 2], ("hero", "side"), as_of=at_ms))
        for action in actions_of(answer):
            offered[action] += 1
    return offered


async def ask_everything(targets: Sequence[str], url: str) -> tuple[list[Said], dict[str, Mapping[str, int]]]:
    """Ask for all decisions, an alias linked in between; return what was said, and what each can have later."""
    begin_ms, began_s = first_ms(), time.monotonic()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        for customer in (*CUSTOMERS, ALIAS):
            await clients[0].set_consent(customer, "all", given_at=begin_ms, source="test")
        callers = Callers(clients, begin_ms)
        await callers.all(range(REQUESTS // 3))
        await clients[0].identities.link(ALIAS, "ada")
        await callers.all(range(REQUESTS // 3, REQUESTS))
        rate = REQUESTS / (time.monotonic() - began_s)
        said = said_by_log(url)
        print(f"{REQUESTS} decisions, {len(said)} actions said, {rate:.0f} decisions/s, {callers.degraded} degraded")
        assert callers.degraded <= REQUESTS // 100
        later_ms = begin_ms + REQUESTS * STEP_MS + 2 * 86_400_000
        return said, {who: await fitting(clients[1], who, later_ms) for who in CUSTOMERS}


def test_no_cap_is_exceeded_and_none_stays_used(targets: tuple[str, ...], clean_store_url: str) -> None:
    """Counted again from the log, in plain words of this test, no cap was exceeded; later all can be had again."""
    said, offered = asyncio.run(ask_everything(targets, clean_store_url))
    assert violations(said, RULES) == []
    for rule in RULES:
        assert violations(said, [replace(rule, at_most=rule.at_most - 1)]), f"{rule.id} was used up: this can fail"
    for who in CUSTOMERS:
        sold = {action: times for action, times in offered[who].items() if action in SELLING}
        assert sum(sold.values()) == 5, (who, json.dumps(sold))
