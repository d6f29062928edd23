"""Make the demo world: a synthetic population with hidden tastes, for strategies/demo.

    python -m training.worlds.demo --out DIR [--customers 1000] [--seed 1] [--moment 2026-06-01T09:00:00Z]

Writes five files of JSON lines: `events.jsonl` and `consents.jsonl` (to be loaded), `decisions.jsonl` (the randomised
pilot, to learn from), `truth.jsonl` (to judge what was learned; nothing else may read it) and `visits.jsonl` (who comes
after that moment, and what they would take). Equal arguments give equal bytes, and the customers of a small world are
the first of a large one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from models.schema import load_context

from . import pilot, telling
from .facts import Observer
from .files import Row, moment_ms, rfc3339, write_rows
from .people import DAY_MS, Happening, Person, history, person
from .tastes import STRATEGY, Sayable, read_sayables, true_worth
from .visits import visits

MOMENT = "2026-06-01T09:00:00Z"
"""The moment before which everything happened, unless another one is asked for."""


@dataclass(frozen=True, slots=True)
class World:
    """A population with its histories: `dice(customer, what)` gives each customer dice of its own."""

    customers: int
    seed: int
    moment_ms: int
    strategy: Path

    def people(self) -> Iterator[tuple[Person, tuple[Happening, ...]]]:
        """Yield everyone with their events: first the telling customers, then those who were drawn."""
        for one in telling.PEOPLE:
            yield one, telling.telling_history(one, self.moment_ms)
        for number in range(1, self.customers + 1):
            name = f"customer-{number:06}"
            one = person(name, self.dice(name, "person"))
            yield one, history(one, self.moment_ms, self.dice(name, "history"))

    def dice(self, customer: str, what: str) -> Random:
        """Return dice that depend on the seed, the customer and what they are for, and on nothing else."""
        return Random(f"{self.seed} {customer} {what}")  # noqa: S311  a seeded world, not a secret

    def sayables(self) -> tuple[Sayable, ...]:
        """Return what can be said in this world."""
        return read_sayables(self.strategy)


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows each file got."""

    events: int
    consents: int
    decisions: int
    truths: int
    visits: int


def write_world(world: World, folder: Path) -> Written:
    """Write the five files of a world into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    sayables = world.sayables()
    people = list(world.people())
    drawn = [one for one, _ in people[len(telling.PEOPLE) :]]
    return Written(
        write_rows(folder / "events.jsonl", _events(people)),
        write_rows(folder / "consents.jsonl", _consents(people, world.moment_ms)),
        write_rows(folder / "decisions.jsonl", _decisions(world, people, sayables)),
        write_rows(folder / "truth.jsonl", (truth(one, sayables) for one, _ in people)),
        write_rows(folder / "visits.jsonl", visits(drawn, sayables, world.dice("", "visits"))),
    )


def truth(one: Person, sayables: tuple[Sayable, ...]) -> Row:
    """Return the true worth of every action for one customer: p, p0 (had nothing been said) and net euros."""
    worths = {sayable.id: true_worth(sayable, one.traits) for sayable in sayables}
    rounded = {name: {"p": round(w.p, 6), "p0": round(w.p0, 6), "net": round(w.net, 6)} for name, w in worths.items()}
    return {"customer_id": one.id, "actions": rounded}


def _events(people: list[tuple[Person, tuple[Happening, ...]]]) -> Iterator[Row]:
    rows = [(h.at_ms, f"{one.id}-{n:03}", one.id, h) for one, story in people for n, h in enumerate(story)]
    for at_ms, event_id, customer, happening in sorted(rows, key=lambda row: row[:2]):
        yield {
            "event_id": event_id,
            "customer_id": customer,
            "type": happening.type,
            "occurred_at": rfc3339(at_ms),
            "attributes": happening.attributes,
        }


def _consents(people: list[tuple[Person, tuple[Happening, ...]]], moment_ms: int) -> Iterator[Row]:
    for one, _ in people:
        given_ms = moment_ms - int(one.tenure_days * DAY_MS)
        yield {
            "customer_id": one.id,
            "level": one.level,
            "contact": ["email"] if one.email else [],
            "given_at": rfc3339(given_ms),
            "source": "contract",
        }


def _decisions(
    world: World, people: list[tuple[Person, tuple[Happening, ...]]], sayables: tuple[Sayable, ...]
) -> Iterator[Row]:
    observer = Observer(load_context(world.strategy))
    rows: list[Row] = []
    for one, happenings in people[len(telling.PEOPLE) :]:
        if one.level == "full":
            dice = world.dice(one.id, "pilot")
            rows += pilot.decisions(one, happenings, world.moment_ms, observer, sayables, dice)
    rows += pilot.visitors(world.customers // 4, world.moment_ms, sayables, world.dice("", "visitors"))
    return iter(sorted(rows, key=lambda row: (str(row["at"]), str(row["decision_id"]))))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.worlds.demo", description="Make the demo world.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--customers", type=int, default=1_000, help="how many, besides the telling ones (1000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world (1)")
    parser.add_argument("--moment", default=MOMENT, help=f"everything happened before it ({MOMENT})")
    parser.add_argument("--strategy", type=Path, default=STRATEGY, help="the folder of the demo strategy")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    chosen = parser.parse_args(arguments)
    try:
        world = World(chosen.customers, chosen.seed, moment_ms(chosen.moment), chosen.strategy)
    except ValueError as error:
        parser.error(f"--moment: {error}")
    written = write_world(world, chosen.out)
    text = (
        f"{world.customers:,} customers and {len(telling.PEOPLE)} telling ones: {written.events:,} events, "
        f"{written.decisions:,} decisions, {written.visits:,} visits, the truth of {written.truths:,} customers, "
        f"in {chosen.out}"
    )
    sys.stdout.write((msgspec.json.encode(written).decode() if chosen.json else text) + "\n")


if __name__ == "__main__":
    main()
