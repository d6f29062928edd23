"""A person asks for everything that is kept, and then to be forgotten: acceptance with canaries in every field."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.rpc.client import Ask, Event, Outcome, Prediction, TactClient
from service.rpc.plain import Plain
from service.store import keys
from service.store.embedded import EmbeddedStore
from tests.cli.commands import Process, typed, until
from tests.store.everything import values_of
from tests.strategies import SECTIONS, write_strategy

PERSON, ALIAS = "CANARY-person", "CANARY-alias"
WORD, NUMBER, AMOUNT, WORTH = "CANARY-word", 7_319_462_085_113, 48_151.623421, 3_141.592653125
MILLIONTHS = round(AMOUNT * 1e6)  # how windows and decays keep amounts
VISIBLE = {b"CANARY", struct.pack(">Q", NUMBER), str(WORTH).encode(), struct.pack(">Q", MILLIONTHS)}
KINDS = {
    "last": "attribute: word", "first": "attribute: word", "distinct": "attribute: word", "recent": "attribute: word",
    "min": "attribute: number", "max": "attribute: number", "sum": "attribute: amount", "count": "",
    "window_sum": "attribute: amount, window: 7d", "window_count": "window: 7d", "since": "",
    "rate": "window: 7d, per: 1d", "decay": "attribute: amount, half_life: 30d",
    "open": "attribute: word, closed_by: unnoted, closed_key: word",
}  # fmt: skip
TYPES = {"last": "string", "first": "string", "recent": "strings", "min": "int", "max": "int"}
WHOLE = ("count", "window_count", "distinct", "open")
EVENTS = """\
  - {id: noted, says: Anything., attributes: {word: string, number: int, amount: double}}
  - {id: unnoted, says: No longer., attributes: {word: string}}
"""
REQUESTED = """\
  - {id: present.word, says: A word., type: string, purpose: service, source: request}
  - {id: present.words, says: Words., type: strings, purpose: service, source: request}
  - {id: present.number, says: A number., type: int, purpose: service, source: request}
  - {id: predicted.word, says: A guess., type: string, purpose: profiling, source: model, max_age: 30d}
"""
REMEMBERED = {
    "caps": SECTIONS["caps"]
    + "  - {id: seen, says: Seen., count: {kinds: [greeting]}, at_most: 99, within: 7d, counts: shown, hold: 1h}\n",
    "cool_offs": "cool_offs:\n  - {id: rest, says: Rest., about: {kinds: [offer]}, after: [refused], for: [1d]}\n",
    "consistency": """\
consistency:
  - id: story
    says: One story.
    keep: {intents: [welcome]}
    per: [intent]
    for: 7d
    until_changes: [past.count_service]
""",
    "guardrails": SECTIONS["guardrails"]
    + """\
  - id: not-at-once
    says: Not twice a second.
    forbid: {ids: [new-phone]}
    when: present.minutes_since_last < 0.001
""",
}
DEMAND = """\
demand:
  - {id: views, says: Views., event: noted, kind: view, item: thing, place_from: word}
  - {id: carts, says: Carts., event: noted, kind: cart, item_from: word, place_from: word, units_from: number}
"""


@dataclass(frozen=True, slots=True)
class World:
    """A service with its store: where it is called, its process, the store's URL and its folder."""

    target: str
    process: Process
    url: str
    folder: Path


def folded() -> str:
    """Return a field for each way to fold and each purpose."""
    described = "  - {{id: past.{kind}_{purpose}, says: A field., type: {type}, purpose: {purpose}, fold: {fold}}}\n"
    return "".join(
        described.format(
            kind=kind,
            purpose=purpose,
            type=TYPES.get(kind, "int" if kind in WHOLE else "double"),
            fold=f"{{kind: {kind}, event: noted{more and ', ' + more}}}",
        )
        for purpose in ("service", "personalization", "profiling")
        for kind, more in KINDS.items()
    )


@pytest.fixture
def world(store_program: Path | None, tmp_path: Path) -> Iterator[World]:
    """Serve a strategy with every kind of field over a store of its own."""
    strategy = write_strategy(
        tmp_path / "strategy",
        events=SECTIONS["events"] + EVENTS,
        fields=SECTIONS["fields"] + folded() + REQUESTED,
        demand=DEMAND,
        **REMEMBERED,
    )
    key = tmp_path / "key"
    key.write_text("a secret of the tests, which is 32 bytes or longer")
    key.chmod(0o600)
    words = ("--strategy", strategy, "--port", "0", "--json", "--log-level", "debug", "--erasure-key-file", key)
    with EmbeddedStore(tmp_path / "store", server=store_program) as url:
        with Redis.from_url(url) as raw:
            raw.config_set("rdbcompression", "no")  # so that what is on the disk can be searched
        with Process("serve", "--store", url, *words) as process:
            yield World(process.serving().target, process, url, tmp_path / "store")


async def write_everything(tact: TactClient, customer: str) -> list[str]:
    """Write canaries of every sort about a customer; return the words that an export must have."""
    now_ms = time.time_ns() // 1_000_000 - 60_000
    written = [customer]
    for n in range(3):
        written.append(f"CANARY-form-{n}-{customer}")
        await tact.set_consent(customer, "full", ("email",), given_at=now_ms + n, source=written[-1])
        attributes: dict[str, Plain] = {"word": f"{WORD}-{n}-{customer}", "number": NUMBER + n, "amount": AMOUNT + n}
        result = await tact.record_events([Event(f"CANARY-event-{n}", customer, "noted", now_ms + n, attributes)])
        assert result["results"][0]["status"] == "stored"
        written.append(f"{WORD}-{n}-{customer}")
    prediction = Prediction(customer, "CANARY@3f9a0c11d2e4", now_ms, {"predicted.word": f"CANARY-guess-{customer}"})
    predicted = await tact.predictions.record([prediction])
    assert predicted["results"][0]["status"] == "stored"
    written += ["CANARY@3f9a0c11d2e4", f"CANARY-guess-{customer}"]
    return written + await decide_everything(tact, customer)


async def decide_everything(tact: TactClient, customer: str) -> list[str]:
    """Decide for a customer with canaries in the request; record outcomes; return what an export must have."""
    context: dict[str, Plain] = {
        "present.word": f"CANARY-seen-{customer}", "present.words": [f"CANARY-page-{customer}"],
        "present.number": NUMBER,
    }  # fmt: skip
    written = [f"CANARY-seen-{customer}", f"CANARY-page-{customer}", str(NUMBER), str(WORTH)]
    places = ("greeting", "hero")
    for n in range(3):
        between = await tact.decide(Ask(neighbour(customer), "web", places))  # its entry stands beside the person's
        assert between["decision_id"]
        ask = Ask(customer, "web", places, context, idempotency_key=f"CANARY-key-{n}", request_id="CANARY-r")
        answer = await tact.decide(ask)
        written.append(answer["decision_id"])
        for placement in answer["answers"]:
            said = placement.get("greeting") or placement.get("offer")
            if said is not None:
                outcome = Outcome(answer["decision_id"], said["action_id"], "accepted", amount=WORTH)
                told = [outcome, Outcome(answer["decision_id"], said["action_id"], "refused", amount=WORTH)]
                assert {one["status"] for one in (await tact.record_outcomes(told))["results"]} == {"stored"}
    answer = await tact.decide(Ask(customer, "web", places, context, idempotency_key="CANARY-key-3"))  # nobody answers
    written.append(answer["decision_id"])
    return written


def neighbour(customer: str) -> str:
    """Return somebody whose keys stand in the same bucket."""
    return next(name for n in range(99_999) if keys.bucket(name := f"neighbour-{n}") == keys.bucket(customer))


def needles(words: list[str]) -> list[bytes]:
    """Return the canaries as they can stand in files: as text, and numbers packed."""
    numbers = [struct.pack(">Q", NUMBER + n) for n in range(3)] + [struct.pack(">d", AMOUNT + n) for n in range(3)]
    texts = ["CANARY", *(word for word in words if "CANARY" not in word), *(str(AMOUNT + n) for n in range(3))]
    numbers += [struct.pack(">Q", MILLIONTHS + n * 1_000_000) for n in range(3)] + [struct.pack(">d", WORTH)]
    return [*map(str.encode, texts), *numbers]


def found_in(content: bytes, wanted: list[bytes]) -> set[bytes]:
    """Return which of the canaries stand in some bytes."""
    return {needle for needle in wanted if needle in content}


def on_disk(folder: Path) -> bytes:
    """Return everything in the store's folder: its files, its log."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def in_store(url: str) -> bytes:
    """Return all keys and values, and what the store quotes of commands."""
    with Redis.from_url(url) as raw:
        parts = [part for key in raw.scan_iter() for part in (key, *values_of(raw, key))]
        return b"\n".join([*parts, repr(raw.slowlog_get(1000)).encode(), repr(raw.info("all")).encode()])


def rewrite(url: str) -> None:
    """Have the store write its append-only file anew, and wait until it has."""
    with Redis.from_url(url) as raw:
        raw.bgrewriteaof()
        settled(raw)


def settled(raw: Redis) -> None:
    """Wait until no rewriting is under way."""
    until(lambda: not any(raw.info("persistence")[f"aof_rewrite_{what}"] for what in ("in_progress", "scheduled")))


async def test_a_person_gets_everything_and_is_then_forgotten_everywhere(world: World) -> None:
    """The export has all that was written; after the erasure no canary is in keys, files, logs or output."""
    async with TactClient(world.target) as tact:
        written = await write_everything(tact, PERSON)
        await tact.identities.link(ALIAS, "CANARY-nobody")
        await tact.identities.unlink(ALIAS)
        written += await write_everything(tact, ALIAS)
        await tact.identities.link(ALIAS, PERSON)
        exported = await asyncio.to_thread(typed, "export", PERSON, "--target", world.target)
        assert exported.returncode == 0, exported.stderr
        document = json.loads(exported.stdout)
        assert [word for word in written if word not in exported.stdout] == []
        check_counts(document)
        await asyncio.to_thread(until, lambda: b"thing" in in_store(world.url))  # what was wanted was told
        rewrite(world.url)
        wanted = needles(written)
        assert found_in(in_store(world.url), wanted) >= VISIBLE, "the search itself can fail"
        assert found_in(on_disk(world.folder), wanted) >= VISIBLE
        erased = await asyncio.to_thread(
            typed, "erase", ALIAS, "--yes", "--rewrite", "--json", "--target", world.target
        )
        assert erased.returncode == 0, erased.stderr
        check_erased(json.loads(erased.stdout))
        await tact.rights.erase("CANARY-nobody")
        again = await tact.rights.erase(ALIAS)
        assert sum(value for value in again.values() if type(value) is int) == 0
    with Redis.from_url(world.url) as raw:
        settled(raw)
    rewrite(world.url)
    assert neighbour(PERSON).encode() in in_store(world.url), "others keep theirs"
    assert b"thing" in in_store(world.url), "what was wanted is about nobody, and stays"
    assert found_in(in_store(world.url), wanted) == set()
    assert found_in(on_disk(world.folder), wanted) == set()
    world.process.told(signal.SIGTERM)
    assert found_in(world.process.errors().encode(), wanted) == set()


def check_counts(document: dict[str, Any]) -> None:
    """Compare an export with how much was written under the two ids."""
    fields = [field for field in document["fields"] if field["customer_id"] == PERSON]
    assert len(document["identities"]) == 2
    assert len(document["consents"]) == 2 * (3 + 1)
    assert {field["purpose"] for field in fields} == {"service", "personalization", "profiling"}
    assert len(fields) == 3 * len(KINDS) + 1
    assert [field["source"] for field in fields].count("model") == 1
    assert all(field["field_id"] and field["occurred_at"] and field["arrived_at"] for field in fields)
    assert len(document["decisions"]) == 8
    assert all(placement["reasons"] for one in document["decisions"] for placement in one["decision"]["answers"])
    assert all({fact["field_id"] for fact in one["facts"]} >= {"present.word"} for one in document["decisions"])
    assert document["outcomes"]
    assert {outcome["outcome"]["amount"] for outcome in document["outcomes"]} == {WORTH}
    assert sum(identity["remembered_event_ids"] for identity in document["identities"]) == 6
    assert {use["elsewhere"] for use in document["cap_uses"]} == {False, True}, (
        "the alias's uses count for the person too"
    )
    assert all(use["counter"] and use["used_at"] and use["origin"] for use in document["cap_uses"])
    assert len({use["origin"] for use in document["cap_uses"]}) == 2
    assert {identity["customer_id"]: "linked_at" in identity for identity in document["identities"]} == {
        PERSON: False, ALIAS: True,
    }  # fmt: skip
    assert document["remnants"] == []
    assert {one["kind"] for one in document["refusals"]} == {"refused"}
    assert {one["mark"] for one in document["refusals"] if one["customer_id"] == ALIAS}
    assert {one["counter"] for one in document["reservations"]} == {"seen"}
    assert {"held_until" in one for one in document["reservations"]} == {True, False}, "one was seen, one is waited for"
    assert "story|i:welcome" in {one["key"] for one in document["promises"]}
    assert {one["channel"] for one in document["contacts"]} == {"web"}
    assert document["items"] == sum(len(items) for items in document.values() if isinstance(items, list))


def check_erased(answer: dict[str, Any]) -> None:
    """Compare what an erasure says with how much was written under the two ids."""
    assert set(answer["customer_ids"]) == {PERSON, ALIAS}
    assert (answer["fields"], answer["event_ids"], answer["links"]) == (2 * (3 * len(KINDS) + 1), 6, 1)
    assert (answer["decisions"], answer["idempotency_records"]) == (8, 8)
    assert answer["remembered"] > 6
    assert answer["outcomes"] == answer["outcome_records"] > 0
    assert answer["rewrite_started"]
