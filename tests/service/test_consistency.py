"""The same person gets the same story on every channel: real services, several of them, on real stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.context import Scalar
from service.app import start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Ask, CallFailed, Event, Outcome, TactClient
from tests.strategies import edited, write_strategy

DESK, WEB, MAIL = ("desk", "offer"), ("web", "hero"), ("email", "body")
CHANNELS = (DESK, WEB, MAIL)
PEOPLE = 24
PATIENCE_S = 5.0  # on a busy machine the store is slow, and a safe answer tells no story
OFFERS = {"new-phone", "fibre-upgrade"}
CALM = """\
guardrails:
  - id: no-selling-to-the-angry
    says: Who is angry is not sold to.
    forbid: {kinds: [offer]}
    when: present.sentiment < 0.0
"""
POLICY = """\
cool_offs:
  - id: a-no-is-a-no
    says: What was refused rests for a month, and for a quarter after that.
    about: {kinds: [offer]}
    after: [refused, not_now]
    for: [30d, 90d]
    per: [group]
  - id: never-is-never
    says: What somebody never wants to hear of is never said again.
    about: {kinds: [offer]}
    after: [never]
    permanent: true
consistency:
  - id: one-story
    says: What was offered is what is offered, everywhere.
    keep: {kinds: [offer]}
    for: 7d
    until_changes: [past.tier]
"""
GREETINGS = """\
  - id: chat-goes-on
    kind: greeting
    says: A hello that knows the chat of a moment ago.
    value: 5.0
    propensity: 1.0
    treatments: [{channel: desk, placements: [greeting], text: I see that you were just chatting with us.}]
"""
AFTER_A_CHAT = """\
  - id: only-after-a-chat
    says: The chat is mentioned while it is fresh.
    permit: {ids: [chat-goes-on]}
    when: present.last_channel == 'web' && present.minutes_since_last < 30.0
"""


def _shop(folder: Path, explore: float) -> Path:
    """Write the small strategy, in which a mood decides which offer is worth most, with promises and cool-offs."""
    return write_strategy(
        folder,
        strategy=edited("strategy", "explore: 0.05", f"explore: {explore}"),
        actions=edited("actions", "actions:\n", f"actions:\n{GREETINGS}"),
        eligibility=edited("eligibility", "eligibility:\n", f"eligibility:\n{AFTER_A_CHAT}"),
        guardrails=CALM,
        weights="""\
weights:
  - {id: cart, says: A cart, boost: {ids: [new-phone]}, factor: 50.0, when: present.cart_value > 50.0}
  - {id: empty, says: No cart, boost: {ids: [fibre-upgrade]}, factor: 50.0, when: present.cart_value < 50.0}
""",
        caps="caps: []\n",
        policy=POLICY,
        model=None,
    )


@dataclass(frozen=True, slots=True)
class Desks:
    """Several services on one store, as several channels would call them."""

    clients: tuple[TactClient, ...]

    async def agreed(self, who: str, level: str = "full") -> None:
        """Let somebody agree to everything."""
        await self.clients[0].set_consent(who, level, ("email",))

    async def ask(
        self, who: str, place: tuple[str, str] = WEB, cart: float = 10.0, at: int = 0, **told: Scalar
    ) -> Answer:
        """Ask one of the services what to say to somebody with such a cart, and in a good mood where none is told."""
        context: dict[str, Scalar] = {"present.cart_value": cart, "present.sentiment": 0.5}
        context |= {f"present.{name}": value for name, value in told.items()}
        channel, placement = place
        return await self.clients[at].decide(Ask(who, channel, (placement,), context, explain=True))

    async def answered(self, answer: Answer, kind: str, at: int = 0) -> None:
        """Tell one of the services what came of an answer."""
        outcome = Outcome(answer["decision_id"], said(answer), kind)
        (result,) = (await self.clients[at].record_outcomes([outcome]))["results"]
        assert result["status"] == "stored"


def said(answer: Answer) -> str:
    """Return what an answer says; empty for nothing."""
    placed = answer["answers"][0]
    found = placed.get("greeting") or placed.get("offer") or placed.get("message")
    return str(found["action_id"]) if found else ""


def offered(answers: Iterable[Answer]) -> set[str]:
    """Return the offers among what was said."""
    return {said(answer) for answer in answers} & OFFERS


def codes(answer: Answer, action: str) -> list[str]:
    """Return what holds an action back, as explained."""
    fates = answer["explanation"]["actions"]
    (fate,) = (one for one in fates if one["action_id"] == action)
    return [reason["code"] for reason in fate.get("vetoes", [])]


@asynccontextmanager
async def desks(store: str, folder: Path, services: int = 2, explore: float = 0.0) -> AsyncIterator[Desks]:
    """Start services on one store and stop them, whatever happens."""
    shop = _shop(folder / "shop", explore)
    async with AsyncExitStack() as opened:
        clients = []
        for _ in range(services):
            settings = Settings(store=StorePlace.parse(store), strategy=shop, port=0, store_wait_s=PATIENCE_S)
            running = await start(settings)
            opened.push_async_callback(running.stop)
            client = TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema, timeout_s=20.0)
            clients.append(await opened.enter_async_context(client))
        yield Desks(tuple(clients))


async def test_channels_that_ask_at_once_tell_one_story(clean_store_url: str, tmp_path: Path) -> None:
    """Twelve questions at once about one person, to two services, of different carts: one offer is said, everywhere."""
    async with desks(clean_store_url, tmp_path, explore=0.3) as tact:
        for number in range(PEOPLE):
            who = f"person-{number}"
            await tact.agreed(who)
            asked = [tact.ask(who, CHANNELS[i % 3], 10.0 + 90.0 * (i % 2), i % 2) for i in range(12)]
            answers = await asyncio.gather(*asked)
            assert all(answer["decision_id"] for answer in answers), "none is degraded"
            assert len(offered(answers)) == 1, who


async def test_one_person_under_two_ids_is_told_one_story(clean_store_url: str, tmp_path: Path) -> None:
    """A visitor who logs in brings the promise along, and asked at once under both ids the story is one."""
    async with desks(clean_store_url, tmp_path) as tact:
        for number in range(PEOPLE // 4):
            visitor, customer = f"visitor-{number}", f"customer-{number}"
            await tact.agreed(visitor)
            await tact.agreed(customer)
            promised = offered([await tact.ask(visitor, WEB, 100.0)])
            await tact.clients[1].identities.link(visitor, customer)
            asked = [tact.ask((visitor, customer)[i % 2], CHANNELS[i % 3], 10.0, i // 2 % 2) for i in range(8)]
            assert {said(answer) for answer in await asyncio.gather(*asked)} == promised


async def test_the_answer_says_that_it_is_promised_and_what_else_waits(clean_store_url: str, tmp_path: Path) -> None:
    """PROMISED comes first with when it ends, and the other offer is held back until the same moment."""
    async with desks(clean_store_url, tmp_path) as tact:
        await tact.agreed("ann")
        first = said(await tact.ask("ann", WEB, 100.0))
        other = {"new-phone": "fibre-upgrade", "fibre-upgrade": "new-phone"}[first]
        answer = await tact.ask("ann", DESK, 10.0, at=1)
        reasons = answer["answers"][0]["reasons"]
        assert (reasons[0]["code"], reasons[0]["rule_id"]) == ("promised", "one-story")
        ends = datetime.fromisoformat(reasons[0]["until"]) - datetime.now(UTC)
        assert timedelta(days=6, hours=23) < ends <= timedelta(days=7)
        assert codes(answer, other) == ["promised_otherwise"]


@pytest.mark.parametrize("kind", ["accepted", "refused", "not_now", "never"])
async def test_an_answer_on_one_channel_counts_on_all_from_then_on(
    clean_store_url: str, tmp_path: Path, kind: str
) -> None:
    """It ends the promise in every process at once; after a no, what was refused rests there too."""
    async with desks(clean_store_url, tmp_path) as tact:
        for number in range(3):
            who = f"{kind}-{number}"
            await tact.agreed(who)
            answer = await tact.ask(who, WEB, 100.0)
            refused = said(answer)
            await tact.answered(answer, kind)
            later = await tact.ask(who, DESK, 100.0, at=1)
            waiting = {"accepted": [], "refused": ["cooling_off"], "not_now": ["cooling_off"], "never": ["never_again"]}
            held = [code for code in codes(later, refused) if code != "promised_otherwise"]
            assert held == waiting[kind]
            assert "promised" not in [reason["code"] for reason in later["answers"][0]["reasons"]]


async def test_a_material_fact_ends_the_promise_everywhere(clean_store_url: str, tmp_path: Path) -> None:
    """With another tier the person may be told something else, by whichever service is asked first."""
    async with desks(clean_store_url, tmp_path) as tact:
        await tact.agreed("bea")
        await tact.ask("bea", WEB, 100.0)
        assert "promised" in [r["code"] for r in (await tact.ask("bea", MAIL, 10.0, at=1))["answers"][0]["reasons"]]
        reached = Event("e1", "bea", "loyalty.changed", datetime.now(UTC), {"tier": "gold"})
        await tact.clients[0].record_events([reached])
        answer = await tact.ask("bea", DESK, 10.0, at=1)
        assert "promised" not in [reason["code"] for reason in answer["answers"][0]["reasons"]]


async def test_the_same_story_or_none(clean_store_url: str, tmp_path: Path) -> None:
    """While the promised offer may not be made, the other one is not made in its place."""
    async with desks(clean_store_url, tmp_path) as tact:
        await tact.agreed("cem")
        first = said(await tact.ask("cem"))
        angry = await tact.ask("cem", DESK, 10.0, at=1, sentiment=-0.5)
        assert said(angry) in ("", "ticket-status", "apology")
        assert said(await tact.ask("cem", DESK, 100.0, at=1)) == first


async def test_the_greeting_on_the_phone_knows_the_chat_of_a_moment_ago(clean_store_url: str, tmp_path: Path) -> None:
    """Who was told something on the web is greeted accordingly on the phone; the greeting after that one is not."""
    async with desks(clean_store_url, tmp_path) as tact:
        await tact.agreed("dot")
        phone = ("desk", "greeting")
        assert said(await tact.ask("dot", phone)) != "chat-goes-on"
        await tact.ask("dot", ("web", "greeting"))
        assert said(await tact.ask("dot", phone, at=1)) == "chat-goes-on"
        assert said(await tact.ask("dot", phone)) != "chat-goes-on"
        with pytest.raises(CallFailed, match="not by requests"):
            await tact.ask("dot", phone, last_channel="web")


async def test_without_consent_the_chat_is_not_known(clean_store_url: str, tmp_path: Path) -> None:
    """Who agreed to nothing is greeted as if for the first time."""
    async with desks(clean_store_url, tmp_path, 1) as tact:
        await tact.agreed("eve", "none")
        await tact.ask("eve", ("web", "greeting"))
        assert said(await tact.ask("eve", ("desk", "greeting"))) == "greet"
        context = await tact.clients[0].get_context("eve")
        states = {field["field_id"]: field["state"] for field in context["fields"]}
        assert states["present.last_channel"] == "hidden"


async def test_what_is_known_of_a_customer_tells_the_contact_before(clean_store_url: str, tmp_path: Path) -> None:
    """The context names the channel and that it comes from the memory."""
    async with desks(clean_store_url, tmp_path, 1) as tact:
        await tact.agreed("fay")
        await tact.ask("fay", ("web", "greeting"))
        fields = (await tact.clients[0].get_context("fay"))["fields"]
        (field,) = (one for one in fields if one["field_id"] == "present.last_channel")
        assert (field["source"], field["state"], field["value"]) == ("memory", "known", "web")


async def test_a_visitors_no_is_the_customers_no(clean_store_url: str, tmp_path: Path) -> None:
    """What a visitor refused rests for the customer they turn out to be, under both ids and in every process."""
    async with desks(clean_store_url, tmp_path) as tact:
        await tact.agreed("visitor")
        await tact.agreed("gus")
        answer = await tact.ask("visitor", WEB, 100.0)
        await tact.answered(answer, "refused")
        await tact.clients[1].identities.link("visitor", "gus")
        for at, who in ((0, "gus"), (1, "visitor")):
            assert "cooling_off" in codes(await tact.ask(who, MAIL, 100.0, at), said(answer))


async def test_a_queued_mail_is_not_sent_after_a_no_on_the_phone(clean_store_url: str, tmp_path: Path) -> None:
    """Judged again before it goes out, what rests by then is not said; the promise it gave itself is no bar."""
    async with desks(clean_store_url, tmp_path) as tact:
        await tact.agreed("hal")
        mail = await tact.ask("hal", MAIL, 100.0)
        assert (await tact.clients[1].validate_decision(mail["decision_id"]))["valid"]
        call = await tact.ask("hal", DESK, 100.0, at=1)
        assert said(call) == said(mail)
        await tact.answered(call, "refused", at=1)
        (placement,) = (await tact.clients[0].validate_decision(mail["decision_id"]))["placements"]
        assert [reason["code"] for reason in placement["reasons"]] == ["cooling_off"]
