"""What the desktop must not do: tell, record or show what is not meant, in Debian's Chromium."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.live.desktop.people import Service
from tests.live.desktop.test_desktop import SOLD, opened
from tests.profile import cases


def test_never_is_never_said_by_one_press(page: Page, service: Service, customer: str) -> None:
    """What cannot be taken back asks for a second press, by key and by click, and records nothing before."""
    opened(page, customer)
    page.keyboard.press("5")
    expect(page.locator("[data-outcome=NEVER]")).to_contain_text("Once more")
    page.wait_for_timeout(200)
    assert outcomes(service, customer) == []
    page.locator("[data-outcome=NEVER]").click()
    expect(page.locator("[data-entry=outcome]")).to_contain_text("Never")
    assert outcomes(service, customer) == [(SOLD, "OUTCOME_KIND_NEVER")]


PRESSES_ONCE_IT_IS_GONE = """gone => new MutationObserver((_, seeing) => {
  if (document.querySelector(gone)) return;
  seeing.disconnect();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "s", bubbles: true }));
}).observe(document.body, { childList: true, subtree: true, attributes: true })"""
"""A hand that is as quick as the page, however slow the machine is that both run on."""


def test_a_key_does_not_count_for_a_card_that_came_just_now(page: Page, service: Service, customer: str) -> None:
    """Whoever answers a card that is replaced at that moment records nothing of the new one, and is told."""
    opened(page, customer)
    page.evaluate(PRESSES_ONCE_IT_IS_GONE, f"[data-action={SOLD}]")
    page.keyboard.press("3")
    expect(page.get_by_text("has just become another one")).to_be_visible()
    assert outcomes(service, customer) == [(SOLD, "OUTCOME_KIND_REFUSED")]
    page.wait_for_timeout(1500)
    page.keyboard.press("s")
    expect(page.locator("[data-entry=outcome]")).to_have_count(2)
    expect(page.get_by_text("has just become another one")).to_have_count(0)


def outcomes(service: Service, customer: str) -> list[tuple[str, str]]:
    """Return what was recorded of a customer, as action and kind."""
    entries = service.call("JourneyService/GetJourney", {"customerId": customer})["entries"]
    return [(each["outcome"]["actionId"], each["outcome"]["kind"]) for each in entries if "outcome" in each]


def test_a_withdrawal_of_before_loses_its_words_with_the_consent(page: Page, service: Service, customer: str) -> None:
    """Words that an event took away are told as what not to say, until the consent to them is withdrawn as well."""
    opened(page, customer)
    service.tell(customer, (0.0, "ticket.opened", {"ticket": f"{customer}-1", "topic": "network"}))
    gone = page.locator(f"[data-withdrawn={SOLD}]")
    expect(gone.locator("s")).to_have_count(1)
    service.agrees(customer, "none")
    expect(page.locator("[data-withdrawn] s")).to_have_count(0)
    expect(page.locator("body")).not_to_contain_text("Tess")


def test_the_form_has_each_value_as_it_usually_is(page: Page, service: Service, customer: str) -> None:
    """A field of text is not emptied by a field of numbers that stood there; a moment is one of this place's clocks."""
    zone = page.context.new_cdp_session(page)
    zone.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    opened(page, customer)
    page.keyboard.press("e")
    page.get_by_text("Any event of the strategy").click()
    kind = page.get_by_label("Event", exact=True)
    kind.select_option("usage.reported")
    kind.select_option("ticket.opened")
    expect(page.get_by_label("Ticket", exact=True)).to_have_value(f"{customer}-1")
    kind.select_option("contract.reported")
    ends = page.locator("input[type=datetime-local]").first.input_value()
    local = page.evaluate("ends => new Date(ends).getTime()", ends) / 1000
    assert abs(local - (datetime.now(UTC) + timedelta(days=30)).timestamp()) < 120


def test_what_was_fired_for_one_is_not_told_of_the_next(page: Page, customer: str) -> None:
    """The list of what was fired is of the customer who is open."""
    opened(page, customer)
    page.keyboard.press("e")
    page.locator("[data-fire='ticket.opened']").click()
    expect(page.locator(".fire ol li")).to_have_count(1)
    page.goto("/#somebody-else")
    expect(page.get_by_role("heading", level=1)).to_have_text("somebody-else")
    expect(page.locator(".fire ol")).to_have_count(1)
    expect(page.locator(".fire ol li")).to_have_count(0)


WIDTHS = (390, 768, 1440)


@pytest.mark.parametrize("width", WIDTHS[: cases(1, len(WIDTHS))])
def test_the_name_and_the_consent_come_first(page: Page, customer: str, width: int) -> None:
    """At every width it is seen at once whom it is about, and the order on the screen is that of the document."""
    page.set_viewport_size({"width": width, "height": 844})
    opened(page, customer)
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    expect(page.locator(".who .chip")).to_be_in_viewport()
    boxes = [each.bounding_box() for each in page.locator("main > *").all()]
    places = [(box["y"], box["x"]) for box in boxes if box]
    assert len(places) == 4
    assert places == sorted(places)
