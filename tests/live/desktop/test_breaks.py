"""The desktop where something goes wrong: a read that fails, a key that hangs, an address that is none."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.live.desktop.people import Service
from tests.live.desktop.test_desktop import opened


def test_a_consent_that_ends_hides_at_once_also_where_reading_fails(
    browser: Browser, service: Service, customer: str
) -> None:
    """While the facts cannot be read anew the page shows none, says so until it has read them, and then goes on."""
    context = browser.new_context(base_url=service.address)
    page = context.new_page()
    opened(page, customer)
    expect(page.locator(".facts")).not_to_have_count(0)
    page.route("**/*ContextService/GetContext", lambda route: route.fulfill(status=503, json=BUSY))
    service.agrees(customer, "none")
    expect(page.locator("[data-unread]")).to_contain_text("could not be read")
    service.tell(customer, (0.0, "usage.reported", {"share": 0.9}))
    expect(page.locator("[data-kind=greeting] .words")).not_to_contain_text("Tess")
    page.wait_for_timeout(500)
    expect(page.locator("[data-unread]")).to_contain_text("busy")
    assert page.locator(".facts, .chip.accent").count() == 0
    assert "Tess" not in page.inner_text("body")
    page.unroute("**/*ContextService/GetContext")
    expect(page.locator(".hidden-fact").first).to_contain_text("hidden")
    expect(page.locator("[data-unread]")).to_have_count(0)
    context.close()


BUSY = {"code": "unavailable", "message": "busy"}


def test_a_key_that_is_held_records_once(page: Page, customer: str) -> None:
    """A key that repeats itself, and a second press of it, send no second outcome."""
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if "RecordOutcomes" in asked.url else None)
    opened(page, customer)
    for _ in range(5):
        page.keyboard.down("s")
    page.keyboard.up("s")
    page.keyboard.press("s")
    expect(page.locator("[data-entry=outcome]")).to_have_count(1)
    assert len(sent) == 1


def test_back_leads_to_the_start_and_odd_addresses_break_nothing(page: Page, customer: str) -> None:
    """Back from the first customer nobody is open; an id with a sign that is no escape is taken as it stands."""
    page.goto("/")
    page.get_by_label("Search a customer").fill(customer)
    page.keyboard.press("Enter")
    expect(page.locator("[data-kind=greeting]")).to_be_visible()
    page.go_back()
    expect(page.locator("main.start")).to_be_visible()
    expect(page.locator(".live")).to_have_attribute("data-state", "idle")
    expect(page.locator(".problem")).to_have_count(0)
    page.goto("/#100%")
    expect(page.get_by_role("heading", level=1)).to_have_text("100%")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
