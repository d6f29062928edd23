"""The desktop with another strategy, and with a service that asks who calls."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.commands import DEMO, ROOT
from tests.live.desktop.conftest import looking, served

CALLERS = """callers:
  - {{name: contact-centre, role: desktop, token_sha256: {desk}}}
  - {{name: balancer, role: probe, token_sha256: {probe}}}
"""


def test_a_stock_that_is_emptied_takes_its_offer_away(browser: Browser, tmp_path: Path) -> None:
    """The page knows no strategy by heart: of a truck rental it asks for the branch, and empties its stock."""
    with served(tmp_path, "--strategy", ROOT / "strategies" / "trucks") as service, looking(browser, service) as page:
        service.agrees("tom", "personal")
        page.goto("/#tom")
        page.get_by_label("Branch").fill("berlin")
        page.get_by_label("Branch").press("Tab")
        page.keyboard.press("e")
        stocks = page.get_by_role("group", name="Stock").get_by_role("button")
        assert stocks.all_inner_texts() == [
            f"{does}: truck ({where})" for where in ("berlin", "Booked branch") for does in ("Empty", "Fill up")
        ]
        page.get_by_role("button", name="Fill up: truck (berlin)").click()
        expect(page.locator("[data-action=book-a-truck]")).to_be_visible()
        page.get_by_role("button", name="Empty: truck (berlin)").click()
        expect(page.locator("[data-withdrawn=book-a-truck]")).to_be_visible()
        expect(page.locator("[data-action=book-a-truck]")).to_have_count(0)


@pytest.mark.parametrize("may", [True, False], ids=["the desk", "a balancer"])
def test_who_may_not_look_sees_nothing(browser: Browser, tmp_path: Path, may: bool) -> None:
    """A service that knows its callers asks for a token; the desk's lets in, and one without rights shows nothing."""
    desk, probe = "d" * 43, "p" * 43
    callers = tmp_path / "callers.yaml"
    callers.write_text(CALLERS.format(desk=_digest(desk), probe=_digest(probe)))
    with served(tmp_path, "--strategy", DEMO, "--callers", callers) as service:
        context = browser.new_context(base_url=service.address)
        page = context.new_page()
        page.goto("/#somebody")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("Token").fill(desk if may else probe)
        page.keyboard.press("Enter")
        if may:
            expect(page.locator("[data-kind=greeting]")).to_be_visible()
        else:
            expect(page.locator(".problem")).to_contain_text("You may not see this.")
            assert page.locator("[data-kind], .facts, .timeline").count() == 0
            signs_in_as_another(page, desk)
        context.close()


def signs_in_as_another(page: Page, token: str) -> None:
    """Who came with the wrong token gets in by the right one, and signing out leaves nothing on the page."""
    page.get_by_label("Token").fill("pässwörd")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("ASCII")
    page.get_by_label("Token").fill("x" * 43)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Please sign in.")
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("[data-kind=greeting]")).to_be_visible()
    page.get_by_label("Channel").select_option("web")
    expect(page.get_by_role("alert").first).to_contain_text("You may not use the channel “web” here.")
    expect(page.locator("[data-kind=greeting]")).to_be_visible()
    expect(page.get_by_label("Channel")).to_have_value("desk")
    assert page.evaluate("localStorage.getItem('tact.channel')") == "desk"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.locator("[data-kind], .facts, .timeline").count() == 0
    assert page.evaluate("[location.hash, sessionStorage.length]") == ["", 0]


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
