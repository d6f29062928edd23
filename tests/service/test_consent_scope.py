"""Whatever is asked of the service, nothing is read and nothing leaves the store that the consent does not allow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from models.context import Purpose
from service.core.decision import Request
from service.decide import NoBook
from service.validate import Validator
from tests.service.world import DAY_MS, NOW_MS, World, world
from tests.store.watch import Tap, Watch
from tests.strategies import SECTIONS

DEADLINE_S = 10.0
LEVELS: dict[str, tuple[Purpose, ...]] = {
    "none": (),
    "service": (Purpose.SERVICE,),
    "personal": (Purpose.SERVICE, Purpose.PERSONALIZATION),
    "full": tuple(Purpose),
    "abolished": (),
}
PLAIN = frozenset("icakumjg")
"""The fields of a context that say nothing about what a customer did or is: identities, consent, cap uses, and the
version of what is remembered of their answers.
"""
REMEMBERED = frozenset("zvr")
"""Contact policy, like the cap uses: refusals, promises, reservations; asked for where there is a version of them."""
LATEST_CONTACT = frozenset("h")
"""A fact for service."""
READS = frozenset({"HGET", "HMGET", "HGETALL", "HVALS", "HSCAN", "HRANDFIELD", "DUMP", "SORT", "COPY"})
NOTED = "".join(
    f"  - id: noted.{purpose}\n    says: What only some may hear.\n    attributes: {{words: string}}\n"
    for purpose in Purpose
)
SAID = "".join(
    f"  - {{id: past.said_{purpose}, says: What was said., type: string, purpose: {purpose},\n"
    f"     fold: {{kind: last, event: noted.{purpose}, attribute: words}}}}\n"
    f"  - {{id: present.said_{purpose}, says: What is said., type: string, purpose: {purpose}, source: request}}\n"
    for purpose in Purpose
)
KEPT = """\
consistency:
  - {id: kept, says: What was offered is kept to., keep: {kinds: [offer]}, for: 7d, until_changes: []}
"""
_numbers = count()


@dataclass(slots=True)
class Scene:
    """A world whose store is listened to, with a customer and an alias of whom something is known for each purpose."""

    tact: World
    tap: Tap
    customer: str
    alias: str
    issued: list[str] = field(default_factory=list)

    def question(self, customer: str, key: str = "") -> Request:
        """Return a question that tells something for each purpose."""
        index = self.tact.engine.strategy.schema.index
        told = {index[f"present.said_{purpose}"]: f"canary-{purpose}" for purpose in Purpose}
        return Request(customer, "web", ("hero",), told, True, key, "", NOW_MS)

    def heard(self) -> set[Purpose]:
        """Return the purposes of which something passed the store's door, either way, since the last look."""
        found = {purpose for purpose in Purpose if f"canary-{purpose}".encode() in self.tap.heard}
        self.tap.heard.clear()
        return found

    async def decide(self) -> None:
        """Decide for the customer."""
        await self.tact.decider.decide(self.question(self.customer), DEADLINE_S)

    async def decide_for_the_alias(self) -> None:
        """Decide for the alias, so for the customer."""
        await self.tact.decider.decide(self.question(self.alias, "another key"), DEADLINE_S)

    async def repeat(self) -> None:
        """Repeat a decision that was made when everything was allowed."""
        decision = await self.tact.decider.decide(self.question(self.customer, "key"), DEADLINE_S)
        assert decision.decision_id == self.issued[0]

    async def show(self) -> None:
        """Show what is known."""
        await self.tact.store.customers.context(self.customer, DEADLINE_S)

    async def show_the_alias(self) -> None:
        """Show what is known of the person behind the alias."""
        await self.tact.store.customers.context(self.alias, DEADLINE_S)

    async def validate(self) -> None:
        """Judge a decision again that was made when everything was allowed."""
        store = self.tact.store
        validator = Validator(lambda: self.tact.engine, store.issued, store.customers, store.supply, NoBook())
        await validator.validate(self.issued[0], NOW_MS, DEADLINE_S)


@asynccontextmanager
async def scene(url: str, folder: Path) -> AsyncIterator[Scene]:
    """Make a customer with an alias who had allowed everything, and a decision that was made then."""
    customer, alias = f"heard-{next(_numbers)}", f"heard-{next(_numbers)}"
    sections = {"events": SECTIONS["events"] + NOTED, "fields": SECTIONS["fields"] + SAID, "consistency": KEPT}
    async with Tap(url) as tap, world(tap.url, folder, None, **sections) as tact:
        await tact.seller(customer)
        for who in (customer, alias):
            for purpose in Purpose:
                await tact.happened(who, f"noted.{purpose}", NOW_MS - DAY_MS, words=f"canary-{purpose}")
        made = Scene(tact, tap, customer, alias)
        decision = await tact.decider.decide(made.question(customer, "key"), DEADLINE_S)
        made.issued.append(decision.decision_id)
        await tact.store.identities.link(alias, customer, DEADLINE_S)
        yield made


@pytest.fixture
def watch(store_url: str) -> Iterator[Watch]:
    """Return a watch on the store."""
    one = Watch(store_url)
    yield one
    one.close()


ASKED: tuple[Callable[[Scene], Awaitable[None]], ...] = (
    Scene.decide, Scene.decide_for_the_alias, Scene.repeat, Scene.show, Scene.show_the_alias, Scene.validate,
)  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.__name__)
async def test_only_what_is_allowed_is_read_and_leaves_the_store(
    store_url: str, tmp_path: Path, watch: Watch, level: str, asked: Callable[[Scene], Awaitable[None]]
) -> None:
    """For each level and whatever is asked: MONITOR shows no read of a hidden field, and the wire no hidden byte."""
    async with scene(store_url, tmp_path) as made:
        await made.tact.agreed(made.customer, level)
        made.heard()
        watch.seen()
        await asked(made)
        contexts = [words for words in watch.seen() if len(words) > 1 and ":c:" in words[1] and words[0] in READS]
        heard = made.heard()
    assert contexts
    assert {name for name, *_ in contexts} <= {"HGET", "HMGET"}
    names: dict[str, set[str]] = {made.customer: set(), made.alias: set()}
    for _, key, *fields in contexts:
        names[key.rpartition(":")[2]].update(fields)
    letters = {purpose.group for purpose in LEVELS[level]}
    latest_contact = LATEST_CONTACT if Purpose.SERVICE in LEVELS[level] else set()
    assert names[made.customer] - PLAIN == REMEMBERED | latest_contact | letters
    assert names[made.alias] <= PLAIN | letters, "what is remembered is the person's"
    assert heard <= set(LEVELS[level])
    if asked not in (Scene.repeat, Scene.validate):
        assert heard == set(LEVELS[level]), "the tap would hear it"


async def test_what_came_with_a_request_leaves_the_store_only_as_far_as_it_is_allowed_now(
    store_url: str, tmp_path: Path
) -> None:
    """Judging again reads those values of the request that the consent of now allows, and no others."""
    async with scene(store_url, tmp_path) as made:
        heard = {}
        for level in LEVELS:
            await made.tact.agreed(made.customer, level)
            made.heard()
            known = await made.tact.store.customers.context(made.customer, DEADLINE_S)
            issued = await made.tact.store.issued.issued(made.issued[0], DEADLINE_S)
            assert issued is not None
            made.heard()
            await made.tact.store.issued.given(made.issued[0], made.tact.engine.given_then(issued, known), DEADLINE_S)
            heard[level] = made.heard()
    assert heard == {level: set(purposes) for level, purposes in LEVELS.items()}
