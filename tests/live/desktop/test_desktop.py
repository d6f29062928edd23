"""The agent's desktop in Debian's Chromium: what an agent does in a call."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from tests.live.desktop.people import Service
from tests.profile import cases

SOLD = "fibre-upgrade"
SAID = "Fibre for someone who has our slower internet."


def opened(page: Page, customer: str) -> None:
    """Open the desktop as a screen pop does, and wait for the answer and its reasons."""
    page.goto(f"/#{customer}")
    expect(page.locator("[data-kind=greeting]")).to_be_visible()
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    expect(page.locator("#why")).to_be_visible()


def offer(page: Page) -> str:
    """Return the action that is offered."""
    return str(page.locator("[data-kind=offer]").get_attribute("data-action"))


def test_a_customer_is_searched_and_read(page: Page, customer: str) -> None:
    """Whoever types how an id begins finds the customer, and reads each fact with its age, source and purpose."""
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type(customer[:-3])
    expect(page.get_by_role("option", name=customer)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(customer)
    expect(page.locator("[data-kind=greeting] .words")).to_contain_text("Good day Tess")
    for tense in ("past", "present", "predicted"):
        expect(page.locator(f".tense.{tense} h2")).to_be_visible()
    plan = page.locator(".facts > li", has_text="Plan").first
    expect(plan).to_contain_text("mobile m")
    expect(plan.locator(".origin")).to_contain_text("weeks ago")
    expect(plan.locator(".origin")).to_contain_text("contract.reported")
    expect(plan.locator(".origin")).to_contain_text("personalization")
    expect(page.locator("[data-entry=event]").first).to_be_visible()
    expect(page.locator(".truth[data-entry=event]").first).to_contain_text("moment of truth")


def test_an_offer_is_withdrawn_live_by_an_event(page: Page, service: Service, customer: str) -> None:
    """A ticket that is opened elsewhere takes the offer off the screen by itself, says so first, and says why."""
    opened(page, customer)
    assert offer(page) == SOLD
    service.tell(customer, (0.0, "ticket.opened", {"ticket": f"{customer}-1", "topic": "network"}))
    gone = page.locator(f"[data-withdrawn={SOLD}]")
    expect(gone).to_contain_text("helped, not sold to")
    expect(page.locator(f"[data-action={SOLD}]")).to_have_count(0)
    expect(page.locator("[data-action=greet-open-ticket]")).to_be_visible()
    expect(page.locator("#cause")).to_contain_text("ticket.opened")
    page.keyboard.press("u")
    expect(gone).to_have_count(0)
    service.tell(customer, (0.0, "ticket.closed", {"ticket": f"{customer}-1"}))
    expect(page.locator(f"[data-action={SOLD}]")).to_be_visible()


def test_what_would_change_the_answer_is_shown(page: Page, service: Service, customer: str) -> None:
    """While a ticket is open the agent reads why an offer is not made, and that closing the ticket would let it win."""
    service.tell(customer, (0.5, "ticket.opened", {"ticket": f"{customer}-1", "topic": "network"}))
    opened(page, customer)
    fate = page.locator(f"[data-other={SOLD}]")
    if not fate.count():
        page.locator("section[aria-labelledby=others] > .in > button").click()
    expect(fate).to_contain_text("helped, not sold to")
    fate.get_by_role("button").click()
    changes = fate.locator("[data-verdict=FOUND]")
    expect(changes).to_contain_text("An open support ticket is solved and closed.")
    expect(changes).to_contain_text("Open tickets: 1 → 0")


def test_nothing_is_offered_and_it_says_until_when(page: Page, service: Service, customer: str) -> None:
    """At night, where the customer lives, no e-mail goes out: the page says why, and when that ends."""
    at_night = {"time_zone": zone_at(hour=23), "first_name": "Tess", "language": "en"}
    service.tell(customer, (0.0, "profile.updated", at_night))
    opened(page, customer)
    page.get_by_label("Channel").select_option("email")
    silence = page.locator("[data-kind=suppression]")
    expect(silence).to_contain_text("we send no e-mail")
    ends = datetime.fromisoformat(str(silence.locator("[data-ends]").get_attribute("data-ends")))
    assert timedelta(hours=8) <= ends - datetime.now(UTC) <= timedelta(hours=9)
    expect(silence).to_contain_text("ends")


def zone_at(hour: int) -> str:
    """Return a time zone in which it is this hour now."""
    ahead = (hour - datetime.now(UTC).hour + 9) % 24 - 9
    return f"Etc/GMT{-ahead:+d}"


def test_an_outcome_is_recorded_and_seen_in_the_log(page: Page, service: Service, customer: str) -> None:
    """A refusal by the key is kept beside its decision, stands in the journey, and changes what is offered at once."""
    opened(page, customer)
    page.keyboard.press("3")
    refused = page.locator("[data-entry=outcome]")
    expect(refused).to_contain_text(f"Refused: {SAID}")
    expect(page.locator(".timeline")).not_to_contain_text(SOLD)
    expect(page.locator(f"[data-action={SOLD}]")).to_have_count(0)
    entries = service.call("JourneyService/GetJourney", {"customerId": customer})["entries"]
    kept = [each["outcome"] for each in entries if "outcome" in each]
    assert [(each["actionId"], each["kind"]) for each in kept] == [(SOLD, "OUTCOME_KIND_REFUSED")]
    decided = [each["decision"]["decisionId"] for each in entries if "decision" in each]
    assert kept[0]["decisionId"] in decided


RECORDED = "**/tact.v1.OutcomeService/RecordOutcomes"
KEYS = [("s", "SHOWN"), ("2", "ACCEPTED"), ("1", "SHOWN"), ("4", "NOT_NOW"), ("5", "NEVER")]


@pytest.mark.parametrize(("key", "kind"), KEYS[: cases(2, len(KEYS))])
def test_each_outcome_has_its_key(page: Page, service: Service, customer: str, key: str, kind: str) -> None:
    """What came of an answer is one key away, and is what that key says."""
    opened(page, customer)
    with page.expect_response(RECORDED) as told:
        page.keyboard.press(key)
        if kind == "NEVER":
            expect(page.locator("[data-outcome=NEVER]")).to_contain_text("Once more")
            page.keyboard.press(key)
    (sent,) = json.loads(str(told.value.request.post_data))["outcomes"]
    assert sent["kind"] == f"OUTCOME_KIND_{kind}"
    assert told.value.json()["results"] == [{"status": "OUTCOME_STATUS_STORED"}]


def test_the_mood_of_the_call_changes_the_answer(page: Page, customer: str) -> None:
    """Once the agent says that the customer is upset, nothing is sold."""
    opened(page, customer)
    assert offer(page) == SOLD
    page.locator("[data-mood=upset]").click()
    expect(page.locator(f"[data-action={SOLD}]")).to_have_count(0)
    expect(page.locator("[data-kind=greeting]")).to_be_visible()


def test_looking_again_uses_up_no_cap(page: Page, service: Service, customer: str) -> None:
    """However often the mood changes, or the customer is opened again, the offer that is shown counts once."""
    opened(page, customer)
    for _ in range(3):
        page.locator("[data-mood=upset]").click()
        expect(page.locator(f"[data-action={SOLD}]")).to_have_count(0)
        page.locator("[data-mood=calm]").click()
        expect(page.locator(f"[data-action={SOLD}]")).to_be_visible()
    page.goto("/#somebody-else")
    expect(page.get_by_role("heading", level=1)).to_have_text("somebody-else")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(customer)
    expect(page.locator(f"[data-action={SOLD}]")).to_be_visible()
    asked = {"customerId": customer, "channel": "desk", "placements": ["offer"], "explain": True}
    fates = service.call("DecisionService/Decide", asked)["explanation"]["actions"]
    (fate,) = [each for each in fates if each["actionId"] == SOLD]
    assert {cap["uses"] for cap in fate["caps"]} == {1}


def test_what_consent_hides_is_never_sent(page: Page, service: Service, customer: str) -> None:
    """Once the consent is withdrawn nothing comes to the page that it no longer allows, and what is hidden is told."""
    page.add_init_script(READING)
    opened(page, customer)
    expect(page.locator("[data-kind=greeting] .words")).to_contain_text("Tess")
    assert "Tess" in str(page.evaluate("read.splice(0)"))
    page.keyboard.press("e")
    heard: list[str] = []
    page.on("response", keeping(heard))
    page.locator("[data-fire='consent.none']").click()
    expect(page.locator(".hidden-fact").first).to_contain_text("hidden")
    expect(page.locator("[data-kind=greeting] .words")).not_to_contain_text("Tess")
    expect(page.locator(f"[data-action={SOLD}]")).to_have_count(0)
    page.wait_for_timeout(300)
    assert "hidden" in page.inner_text(".tense.past")
    expect(page.locator("[data-withdrawn]").first).to_be_visible()
    shown = page.inner_text("body")
    assert [word for word in ("mobile m", "Tess") if word in shown] == []
    streamed = page.evaluate("read")
    assert "WITHDRAWN" in str(streamed)
    assert [text for text in streamed if "Tess" in text or "mobile_m" in text] == []
    assert heard
    assert [text for text in heard if "Tess" in text or "mobile_m" in text] == []


READING = """
window.read = [];
const decode = TextDecoder.prototype.decode;
TextDecoder.prototype.decode = function (...given) {
  const text = decode.apply(this, given);
  window.read.push(text);
  return text;
};
"""
"""Keeps what the page reads of its streams."""


def keeping(heard: list[str]) -> Callable[[Response], None]:
    """Return what keeps the text of each answer that is not a stream, to be read once all is there."""

    def keep(response: Response) -> None:
        if "/Watch" not in response.url:
            heard.append(response.text())

    return keep


def test_events_are_fired_from_the_panel(page: Page, service: Service, customer: str) -> None:
    """A newcomer opens and closes a ticket, or fires any event by its form, and sees the answer change."""
    opened(page, customer)
    page.keyboard.press("e")
    page.locator("[data-fire='ticket.opened']").click()
    expect(page.locator(f"[data-withdrawn={SOLD}]")).to_be_visible()
    page.locator("[data-fire='ticket.closed']").click()
    expect(page.locator(f"[data-action={SOLD}]")).to_be_visible()
    page.get_by_text("Any event of the strategy").click()
    page.get_by_label("Event", exact=True).select_option("usage.reported")
    page.get_by_label("Share").fill("0.97")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".fire ol")).to_contain_text("usage.reported")
    share = [f for f in context(service, customer) if f["fieldId"] == "past.data_share"]
    assert share[0]["value"] == {"doubleValue": 0.97}


def context(service: Service, customer: str) -> list[dict[str, Any]]:
    """Return what is known of a customer."""
    fields: list[dict[str, Any]] = service.call("ContextService/GetContext", {"customerId": customer})["fields"]
    return fields


def test_everything_is_reached_by_the_keyboard(page: Page, customer: str) -> None:
    """The tab key reaches every control once around, in the order of the page, and focus is always to be seen."""
    opened(page, customer)
    controls = page.evaluate(
        "[...document.querySelectorAll('a, button, input, select, summary')].filter((e) => e.checkVisibility()).length"
    )
    reached = set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(controls + 5):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            break
        assert at["seen"], at
        reached.add(at["place"])
    assert len(reached) >= controls, (len(reached), controls)


FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at);
  const place = [...document.querySelectorAll('*')].indexOf(at);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  return { place, seen, what: at.outerHTML.slice(0, 80) };
}"""


def test_the_keys_are_told_and_can_be_switched_off(page: Page, customer: str) -> None:
    """`?` tells what each key does, before everything else on the screen; switched off, a single key does nothing."""
    opened(page, customer)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_in_viewport()
    expect(dialog).to_contain_text("Record: accepted")
    dialog.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("e")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#fire")).to_have_count(0)


def test_the_page_speaks_german(page: Page, customer: str) -> None:
    """Another language changes every word of the page's own, and is remembered."""
    opened(page, customer)
    page.get_by_label("Language").select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator(".tense.past h2")).to_have_text("Vergangen: was war")
    page.reload()
    expect(page.get_by_role("button", name="Angenommen")).to_be_visible()


def test_the_desktop_comes_back_after_a_break(page: Page, service: Service, customer: str) -> None:
    """When the connection breaks the page says so, resumes by itself, and shows what happened meanwhile."""
    opened(page, customer)
    page.context.set_offline(True)
    expect(page.locator(".live")).to_have_attribute("data-state", "broken")
    service.tell(customer, (0.0, "ticket.opened", {"ticket": f"{customer}-1", "topic": "network"}))
    page.context.set_offline(False)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    expect(page.locator("[data-action=greet-open-ticket]")).to_be_visible()
