"""Words are filled from what the consent of now allows, in the customer's language, also in a repeated decision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.core.decision import Decision, ReasonCode, Request
from service.core.validity import Standing
from service.core.words import Words
from service.decide import NoBook
from service.validate import Validator
from tests.service.world import DAY_MS, NOW_MS, World, world
from tests.strategies import SECTIONS, edited

DEADLINE_S = 10.0
NAMED: dict[str, Any] = {
    "language": "language: {field: past.language, default: en}\n",
    "events": SECTIONS["events"]
    + """\
  - id: customer.named
    says: The customer told their name and language.
    attributes: {name: string, language: {type: string, optional: true}}
""",
    "fields": SECTIONS["fields"]
    + """\
  - id: past.first_name
    says: The first name.
    type: string
    purpose: personalization
    fold: {kind: last, event: customer.named, attribute: name}
  - id: past.language
    says: The language they prefer.
    type: string
    purpose: service
    fold: {kind: last, event: customer.named, attribute: language}
""",
    "actions": edited(
        "actions",
        "- {channel: web, placements: [greeting], text: Good to see you.}",
        """\
- channel: web
        placements: [greeting]
        text: {en: "Good day {past.first_name}.", de: "Guten Tag {past.first_name}."}
        otherwise: {en: "Good day.", de: "Guten Tag."}
""",
    ).replace(
        "{channel: email, placements: [body], text: Three times faster.}",
        '{channel: email, placements: [body], text: "{past.first_name}, three times faster.", otherwise: Faster.}',
    ),
}


@asynccontextmanager
async def speaking(url: str, folder: Path) -> AsyncIterator[World]:
    """Open a world in which the safe greeting and an e-mail name the customer."""
    async with world(url, folder, **NAMED) as tact:
        yield tact


async def greeted(tact: World, customer: str, key: str = "") -> str:
    """Return the greeting of a customer on the web."""
    request = Request(customer, "web", ("greeting",), {}, False, key, "", NOW_MS)
    decision = await tact.decider.decide(request, DEADLINE_S)
    assert decision.degraded in ((), decision.degraded)
    return text_of(decision, "greet")


def text_of(decision: Decision, action: str) -> str:
    """Return the words of the only answer, which must say the action."""
    (answer,) = decision.answers
    assert answer.action == action
    return answer.text


@pytest.mark.parametrize(
    ("level", "language", "words"),
    [
        ("personal", "de-AT", "Guten Tag Ada."),
        ("personal", "en-GB", "Good day Ada."),
        ("personal", None, "Good day Ada."),
        ("service", "de", "Guten Tag."),
        ("none", "de", "Good day."),
    ],
)
async def test_a_greeting_names_only_what_the_consent_allows(
    level: str, language: str | None, words: str, clean_store_url: str, tmp_path: Path
) -> None:
    """The name needs its consent, and so does the language; without, the greeting is good all the same."""
    async with speaking(clean_store_url, tmp_path) as tact:
        await tact.agreed("ada", level)
        told: dict[str, Any] = {"language": language} if language else {}
        await tact.happened("ada", "customer.named", name="Ada", **told)
        assert await greeted(tact, "ada") == words


async def test_a_customer_of_whom_no_name_is_known_is_greeted_without(clean_store_url: str, tmp_path: Path) -> None:
    """Who never told a name, or one that is no word, hears the words without slots."""
    async with speaking(clean_store_url, tmp_path) as tact:
        await tact.agreed("ada", "full")
        assert await greeted(tact, "ada") == "Good day."
        await tact.happened("ada", "customer.named", name="\u200b" * 8)
        assert await greeted(tact, "ada") == "Good day."


async def test_a_repeated_decision_is_worded_by_the_consent_of_now(clean_store_url: str, tmp_path: Path) -> None:
    """The same key says the same action, and no longer the name once its consent is withdrawn."""
    async with speaking(clean_store_url, tmp_path) as tact:
        await tact.agreed("ada", "personal")
        await tact.happened("ada", "customer.named", name="Ada")
        assert await greeted(tact, "ada", "key") == "Good day Ada."
        assert await greeted(tact, "ada", "key") == "Good day Ada."
        await tact.agreed("ada", "none")
        assert await greeted(tact, "ada", "key") == "Good day."


async def test_a_decision_that_another_process_made_first_is_worded_for_nobody(
    clean_store_url: str, tmp_path: Path
) -> None:
    """Who finds at commit that the decision was made meanwhile has not read the consent of now, and names nobody."""
    async with speaking(clean_store_url, tmp_path) as tact:
        await tact.agreed("ada", "personal")
        await tact.happened("ada", "customer.named", name="Ada")
        request = Request("ada", "web", ("greeting",), {}, False, "key", "", NOW_MS)
        decision_id = tact.store.customers.decision_id("ada", "key", b"")
        known = await tact.store.customers.read("ada", decision_id, 5.0, "key")
        assert await greeted(tact, "ada", "key") == "Good day Ada."
        snapshot = tact.engine.see(known, request)
        judged = tact.engine.judge(snapshot, known, request)
        scores = tact.engine.score(snapshot, judged, request)
        entry = tact.engine.arbitrate(decision_id, request, snapshot, judged, scores, (0.99,))
        committed = await tact.store.customers.commit(tact.engine.commit(entry, request, known.now_ms), 5.0)
        assert committed.repeated
        assert text_of(tact.engine.answer(committed, entry), "greet") == "Good day."


async def queued(tact: World, customer: str) -> Decision:
    """Decide on an e-mail."""
    return await tact.decider.decide(Request(customer, "email", ("body",), {}, False, "", "", NOW_MS), DEADLINE_S)


async def standing(tact: World, decision: Decision) -> Standing:
    """Judge a decision with one placement again."""
    validator = Validator(
        lambda: tact.decider.engine, tact.store.issued, tact.store.customers, tact.store.supply, NoBook()
    )
    return (await validator.validate(decision.decision_id, NOW_MS, DEADLINE_S)).placements[0]


ONLY_FIBRE = "eligibility: [{id: fibre, says: Only fibre., permit: {ids: [new-phone]}, when: past.open_tickets > 9}]\n"


async def test_a_queued_e_mail_that_names_what_is_withdrawn_does_not_go_out(
    clean_store_url: str, tmp_path: Path
) -> None:
    """The e-mail in the queue has the name in it: without that consent it is not valid, and the field is named."""
    service_too = edited("consent", "purposes: [service]", "purposes: [service, profiling]")
    async with world(clean_store_url, tmp_path, **{**NAMED, "consent": service_too, "eligibility": ONLY_FIBRE}) as tact:
        await tact.seller("ada")
        await tact.happened("ada", "customer.named", name="Ada")
        decision = await queued(tact, "ada")
        assert text_of(decision, "fibre-upgrade") == "Ada, three times faster."
        assert (await standing(tact, decision)).reasons == ()
        await tact.agreed("ada", "service", "email")
        (words, *_) = (await standing(tact, decision)).reasons
        assert (words.code, words.fields) == (ReasonCode.NO_CONSENT, ("past.first_name",))
        assert "Ada" not in words.sentence


async def test_an_e_mail_that_was_worded_without_the_name_may_go_out(clean_store_url: str, tmp_path: Path) -> None:
    """What never named anybody is not held back because the consent for names is missing."""
    message = edited(
        "actions",
        "{channel: email, placements: [body], text: We are working on your ticket.}",
        '{channel: email, placements: [body], text: "{past.first_name}, we work on it.", otherwise: We work on it.}',
    )
    async with world(clean_store_url, tmp_path, **{**NAMED, "actions": message}) as tact:
        await tact.agreed("ada", "service", "email")
        await tact.happened("ada", "customer.named", name="Ada")
        await tact.happened("ada", "ticket.opened", NOW_MS - DAY_MS, ticket="t1")
        decision = await queued(tact, "ada")
        assert text_of(decision, "ticket-status") == "We work on it."
        assert (await standing(tact, decision)).reasons == ()
        await tact.agreed("ada", "personal", "email")
        named = await queued(tact, "ada")
        assert text_of(named, "ticket-status") == "Ada, we work on it."
        assert (await standing(tact, named)).reasons == ()
        await tact.agreed("ada", "service", "email")
        assert [reason.code for reason in (await standing(tact, named)).reasons] == [ReasonCode.NO_CONSENT]
        assert (await standing(tact, decision)).reasons == ()


async def test_words_of_another_version_are_not_said_once_a_consent_is_withdrawn(
    clean_store_url: str, tmp_path: Path
) -> None:
    """What a version that is gone worded may name all that was consented then: it is not said with less consent."""
    async with world(clean_store_url, tmp_path / "old") as tact:
        await tact.agreed("ada", "personal", "email")
        await tact.happened("ada", "ticket.opened", NOW_MS - DAY_MS, ticket="t1")
        decision = await queued(tact, "ada")
        assert (await standing(tact, decision)).reasons == ()
    async with speaking(clean_store_url, tmp_path / "new") as tact:
        assert (await standing(tact, decision)).reasons == ()
        await tact.agreed("ada", "service", "email")
        assert [reason.code for reason in (await standing(tact, decision)).reasons] == [ReasonCode.NO_CONSENT]


async def test_the_export_shows_the_template(clean_store_url: str, tmp_path: Path) -> None:
    """What is kept of the words of a version are its templates, in the default language, their slots unfilled."""
    async with speaking(clean_store_url, tmp_path) as tact:
        await tact.agreed("ada", "personal")
        await tact.happened("ada", "customer.named", name="Ada", language="de")
        request = Request("ada", "web", ("greeting",), {}, False, "", "", NOW_MS)
        decision = await tact.decider.decide(request, DEADLINE_S)
        assert text_of(decision, "greet") == "Guten Tag Ada."
        words = Words.of(tact.engine.strategy)
        assert words.worded(decision.answers[0], "web").text == "Good day {past.first_name}."
