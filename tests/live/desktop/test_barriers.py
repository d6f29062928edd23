"""Nobody is shut out: axe-core finds no serious barrier in any state of the desktop, at any width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live.desktop.conftest import NARROW, WIDE
from tests.live.desktop.people import Service
from tests.live.desktop.test_desktop import opened
from tests.profile import full

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = "levels => axe.run(document, {runOnly: levels, resultTypes: ['violations']}).then((found) => found.violations)"

Scheme = Literal["light", "dark"]
Opening = Callable[[Page, Service, str], None]


def starting(page: Page, service: Service, customer: str) -> None:
    """Show the page before anybody is open."""
    page.goto("/")
    expect(page.locator("main.start")).to_be_visible()


def reading(page: Page, service: Service, customer: str) -> None:
    """Show a customer with an offer, all lists in full."""
    opened(page, customer)
    page.evaluate("document.querySelectorAll('button[aria-expanded=false]').forEach((one) => one.click())")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    expect(page.locator("#fire")).to_be_visible()


def withdrawing(page: Page, service: Service, customer: str) -> None:
    """Show an offer that was withdrawn."""
    opened(page, customer)
    service.tell(customer, (0.0, "ticket.opened", {"ticket": f"{customer}-1", "topic": "network"}))
    expect(page.locator("[data-withdrawn=fibre-upgrade]")).to_be_visible()


def hiding(page: Page, service: Service, customer: str) -> None:
    """Show a customer of whom the consent hides nearly everything."""
    service.agrees(customer, "none")
    opened(page, customer)


def explaining_keys(page: Page, service: Service, customer: str) -> None:
    """Show what the keys do."""
    opened(page, customer)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def finding(page: Page, service: Service, customer: str) -> None:
    """Show customers who were found."""
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type(customer[:6])
    expect(page.get_by_role("listbox").get_by_role("option").first).to_be_visible()


STATES: tuple[Opening, ...] = (starting, reading, withdrawing, hiding, explaining_keys, finding)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = {"wide": WIDE, "narrow": NARROW}
SHORT = {("reading", "dark", "wide"), ("withdrawing", "light", "narrow"), ("finding", "light", "wide")}
WAYS = [(state, scheme, width) for state in STATES for scheme in SCHEMES for width in WIDTHS]
SHOWN = [way for way in WAYS if full() or (way[0].__name__, *way[1:]) in SHORT]


@pytest.mark.parametrize(("state", "scheme", "width"), SHOWN, ids=lambda part: getattr(part, "__name__", part))
def test_nobody_is_shut_out(
    browser: Browser, service: Service, axe: str, state: Opening, scheme: Scheme, width: str
) -> None:
    """There is no violation of WCAG 2.2 AA that is serious or worse."""
    customer = service.welcomes(f"axe-{state.__name__}-{scheme}-{width}")
    context = browser.new_context(
        base_url=service.address, viewport=WIDTHS[width], color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    state(page, service, customer)
    page.evaluate(axe)
    found = page.evaluate(LOOK, LEVELS)
    broad = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert [told(each) for each in found if each["impact"] in ("serious", "critical")] == []
    assert broad <= 0, "the page is broader than the screen"


def test_the_small_states_shut_nobody_out(browser: Browser, service: Service, axe: str) -> None:
    """The start, what the keys do, and a problem are looked at in every profile: there is no violation at all."""
    context = browser.new_context(base_url=service.address, viewport=NARROW, reduced_motion="reduce")
    page = context.new_page()
    starting(page, service, "")
    page.evaluate(axe)
    found = {"start": page.evaluate(LOOK, LEVELS)}
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found["dialog"] = page.evaluate(LOOK, LEVELS)
    page.keyboard.press("Escape")
    page.route("**/*SearchCustomers", lambda route: route.fulfill(status=503, body="busy", content_type="text/plain"))
    page.keyboard.press("/")
    page.keyboard.type("a")
    expect(page.locator(".problem")).to_contain_text("busy")
    found["problem"] = page.evaluate(LOOK, LEVELS)
    context.close()
    assert {state: [told(each) for each in each_of] for state, each_of in found.items() if each_of} == {}


def test_axe_finds_a_barrier(page: Page, axe: str) -> None:
    """The search for barriers can fail: grey on grey is found."""
    page.goto("/")
    page.evaluate("document.body.innerHTML = '<main id=grey>words</main>'")
    page.evaluate("Object.assign(document.getElementById('grey').style, {color: '#999', background: '#aaa'})")
    page.evaluate(axe)
    assert "color-contrast" in [each["id"] for each in page.evaluate(LOOK, LEVELS)]


def told(violation: dict[str, Any]) -> str:
    """Return a violation in one line."""
    return f"{violation['id']}: {violation['help']}: {[node['html'][:120] for node in violation['nodes'][:3]]}"
