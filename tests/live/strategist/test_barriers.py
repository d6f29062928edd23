"""Nobody is shut out of the strategist's page, and nobody who may not look is let in; all of it without a mouse."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.commands import DEMO
from tests.live.desktop.conftest import NARROW, WIDE, served
from tests.live.desktop.people import Service
from tests.live.desktop.test_barriers import LEVELS, LOOK, told
from tests.live.strategist.conftest import PAGE, opened
from tests.profile import full

CALLERS = """callers:
  - {{name: strategists, role: strategist, token_sha256: {strategist}}}
  - {{name: desk, role: desktop, token_sha256: {desktop}}}
  - {{name: balancer, role: probe, token_sha256: {probe}}}
"""
TOKENS = {"strategist": "s" * 43, "desktop": "d" * 43, "probe": "p" * 43}
EVERYTHING = """() => {
    document.querySelectorAll('details').forEach((one) => { one.open = true; });
    document.querySelector('.actions button[aria-expanded=false]').click();
    document.querySelector('.map button').click();
}"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

Scheme = Literal["light", "dark"]
WIDTHS = {"wide": WIDE, "narrow": NARROW}
SHOWN: list[tuple[Scheme, str]] = [("dark", "wide"), ("light", "narrow")]
SHOWN += [("light", "wide"), ("dark", "narrow")] if full() else []


@pytest.mark.parametrize(("scheme", "width"), SHOWN)
def test_nobody_is_shut_out(browser: Browser, worked: Service, axe: str, scheme: Scheme, width: str) -> None:
    """With everything unfolded there is no serious violation of WCAG 2.2 AA, and nothing is broader than the screen."""
    context = browser.new_context(
        base_url=worked.address, viewport=WIDTHS[width], color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    opened(page)
    page.evaluate(EVERYTHING)
    page.evaluate(axe)
    found = page.evaluate(LOOK, LEVELS)
    broad = page.evaluate(OVERFLOW)
    context.close()
    assert [told(each) for each in found if each["impact"] in ("serious", "critical")] == []
    assert broad <= 0


def test_everything_is_reached_by_the_keyboard(strategist: Page) -> None:
    """Who uses no mouse skips to the strategy, goes to a part, finds a rule and unfolds an action."""
    strategist.keyboard.press("Tab")
    expect(strategist.locator(".skip")).to_be_focused()
    strategist.keyboard.press("Enter")
    expect(strategist.locator("#strategy")).to_be_focused()
    for _ in range(4):
        strategist.keyboard.press("Tab")
    expect(strategist.get_by_role("link", name="Actions")).to_be_focused()
    strategist.keyboard.press("Enter")
    expect(strategist.locator("#actions")).to_be_focused()
    for _ in range(5):
        strategist.keyboard.press("Tab")
    first = strategist.locator(".actions tbody button").first
    expect(first).to_be_focused()
    strategist.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-expanded", "true")
    expect(strategist.locator(".more").first).to_contain_text("What held it back")


def test_who_may_not_look_sees_nothing(browser: Browser, tmp_path: Path) -> None:
    """A service that knows its callers shows the page to its strategists, and to the desk or a probe not one number."""
    callers = tmp_path / "callers.yaml"
    callers.write_text(CALLERS.format(**{name: sha256(one.encode()).hexdigest() for name, one in TOKENS.items()}))
    with served(tmp_path, "--strategy", DEMO, "--callers", callers) as service:
        for role, token in TOKENS.items():
            context = browser.new_context(base_url=service.address)
            page = context.new_page()
            page.goto(PAGE)
            expect(page.get_by_role("dialog")).to_be_visible()
            assert page.locator("main section").count() == 0
            page.get_by_label("Token").fill(token)
            page.keyboard.press("Enter")
            if role == "strategist":
                expect(page.get_by_role("heading", level=1)).to_contain_text("Northlink")
            else:
                expect(page.get_by_role("alert")).to_contain_text("You may not see this.")
                expect(page.locator(".live")).to_have_text("Not connected")
                assert page.locator("main section").count() == 0
                assert "Northlink" not in page.content()
            context.close()
