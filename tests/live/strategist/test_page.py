"""The strategist's page in Debian's Chromium: the strategy in its own words, and what it did."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, Route, expect

from tests.cli.commands import DEMO
from tests.live.desktop.conftest import looking
from tests.live.desktop.people import Service
from tests.live.strategist.conftest import CAME, opened
from tests.profile import full

INSIGHT = "**/tact.v1.InsightService/GetInsight"
FUNNEL = ("considered", "eligible", "scored", "ranked", "won", "shown", "accepted")


@pytest.fixture
def insight(worked: Service) -> dict[str, Any]:
    """Return what the service itself says of the last 24 hours."""
    since = (datetime.now(UTC) - timedelta(hours=24)).isoformat().replace("+00:00", "Z")
    return worked.call("InsightService/GetInsight", {"since": since, "stepMinutes": 15})


def number(page: Page, locator: str) -> int:
    """Return the number that stands somewhere."""
    return int(page.locator(locator).first.inner_text().replace(",", ""))


def rules_of(kind: str) -> list[dict[str, Any]]:
    """Return the rules of one kind, as the documents of the demo write them."""
    files = {path.stem: yaml.safe_load(path.read_text()) for path in DEMO.glob("*.yaml")}
    return [rule for file in files.values() for rule in file.get(kind, ())]


def offers_of_the_demo() -> list[dict[str, Any]]:
    """Return the offers of the demo's documents."""
    return [action for action in rules_of("actions") if action["kind"] == "offer"]


def test_the_strategy_stands_there_in_its_own_words(strategist: Page, insight: dict[str, Any]) -> None:
    """What the strategy is for, and every guardrail and cap in the words of its documents, with how often it bound."""
    expect(strategist.get_by_role("heading", level=1)).to_have_text(
        "Northlink helps first, sells second, and says nothing rather than something useless."
    )
    bound = {rule["ruleId"]: int(rule.get("decisions", 0)) for rule in insight["rules"]}
    assert max(bound.values()) > CAME / 20
    for rule in rules_of("guardrails") + rules_of("caps"):
        shown = strategist.locator(f"[data-rule={rule['id']}]")
        expect(shown.locator(".words")).to_contain_text(rule["says"])
        told = shown.locator(".counted")
        if bound[rule["id"]]:
            expect(told.locator("b")).to_have_text(f"{bound[rule['id']]:,}")
        else:
            expect(told).to_have_text("did not bind")


def test_rules_are_found_by_their_words(strategist: Page) -> None:
    """Whoever looks for a word sees the rules that have it, and whoever wants to can leave out what did not bind."""
    strategist.get_by_placeholder("Find a rule").fill("open support ticket")
    expect(strategist.locator("[data-rule]")).to_have_count(1)
    strategist.get_by_placeholder("Find a rule").fill("")
    strategist.get_by_role("button", name="Only those that bound").click()
    expect(strategist.locator("[data-rule].idle")).to_have_count(0)
    expect(strategist.locator("[data-rule=no-selling-while-a-ticket-is-open]")).to_have_count(1)
    strategist.get_by_placeholder("Find a rule").fill("no rule says this")
    expect(strategist.locator("section[aria-labelledby=rules]")).to_contain_text("No rule is like that.")


def test_each_action_has_its_funnel(strategist: Page, insight: dict[str, Any]) -> None:
    """An action is followed from being considered to being accepted, and what held it back is named rule by rule."""
    offered = {offer["id"] for offer in offers_of_the_demo()}
    offers = [one for one in insight["actions"] if one["actionId"] in offered]
    best = max(offers, key=lambda one: len(one.get("heldBack", ())))
    if best["actionId"] not in strategist.locator(".actions").inner_text():
        strategist.get_by_role("button", name="Show all").click()
    row = strategist.locator(f"[data-action={best['actionId']}]")
    shown = [int(cell.replace(",", "")) for cell in row.locator("td").all_inner_texts()]
    assert shown == [int(best.get(step, 0)) for step in FUNNEL]
    assert shown[:5] == sorted(shown[:5], reverse=True)
    row.get_by_role("button").click()
    more = strategist.locator(f"#more-{best['actionId']}")
    for held in best["heldBack"][:8]:
        expect(more).to_contain_text(held["ruleId"])
    strategist.get_by_role("button", name="Greetings").click()
    expect(strategist.locator("[data-action=greet-neutral]")).to_be_visible()


def test_what_was_said_over_time_is_drawn_and_told(strategist: Page, insight: dict[str, Any]) -> None:
    """The chart is drawn, the legend has the sums, and the table beside it has what the chart shows."""
    for chart in ("activity", "silence"):
        figure = strategist.locator(f"section[aria-labelledby={chart}]")
        expect(figure.locator("canvas")).to_be_visible()
        assert strategist.evaluate(INKED, chart) > 1000
        figure.get_by_text("As a table").click()
        rows = figure.locator("tbody tr")
        expect(rows.first).to_be_visible()
        moments = rows.locator("th").all_inner_texts()
        assert [told for told in moments if not re.fullmatch(r"\d\d/\d\d/\d{4}, \d\d:\d\d", told)] == []
    regions = strategist.evaluate("[...document.querySelectorAll('[role=region]')].map(NAME)".replace("NAME", NAME))
    assert len(regions) > 2
    assert len(set(regions)) == len(regions)
    names = ("said", "greetings", "suppressed")
    sums = [sum(int(step.get(name, 0)) for step in insight["steps"]) for name in names]
    told = numbers(strategist, "activity")
    assert [sum(column) for column in zip(*told, strict=True)][:3] == sums
    silent = [cell for row in numbers(strategist, "silence") for cell in row]
    assert abs(sum(silent) - sums[2]) < 0.06 * len(silent)


NAME = "(one) => one.ariaLabel ?? one.getAttribute('aria-labelledby')"


def numbers(page: Page, chart: str) -> list[list[float]]:
    """Return the table beside a chart, row by row."""
    rows = page.locator(f"section[aria-labelledby={chart}] .as-table tbody tr").all()
    return [[float(cell.replace(",", "")) for cell in row.locator("td").all_inner_texts()] for row in rows]


INKED = """(chart) => {
    const canvas = document.querySelector(`section[aria-labelledby=${chart}] canvas`);
    const ink = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return ink.filter((_, at) => at % 4 === 3).filter(Boolean).length;
}"""


def test_the_three_kinds_of_data_lie_on_one_journey(strategist: Page) -> None:
    """What customers tell, what is held of them, and how the company performs, with the moments of truth."""
    kinds = strategist.locator(".map tbody th").all_inner_texts()
    assert [kind.split("\n")[0] for kind in kinds][:3] == ["What customers tell us", "What we hold", "How we perform"]
    closed = strategist.locator(".map .data-performed").get_by_role("button", name="ticket.closed")
    expect(closed).to_contain_text("moment of truth")
    closed.click()
    told = strategist.locator("#event")
    expect(told).to_contain_text("A customer with an open support ticket is helped, not sold to.")
    expect(told).to_contain_text("past.open_tickets")
    closed.click()
    expect(told).to_be_hidden()


def test_today_has_begun_also_for_a_clock_that_is_ahead(browser: Browser, worked: Service) -> None:
    """A browser a minute after midnight asks for some minutes, not for a time that the service has yet to see."""
    with looking(browser, worked) as page:
        now = datetime(2026, 11, 24, 0, 1)  # noqa: DTZ001 - a clock on the wall
        page.clock.set_fixed_time(now)
        with page.expect_request(INSIGHT) as asked:
            opened(page)
        since = datetime.fromisoformat(json.loads(str(asked.value.post_data))["since"])
        assert since <= now.astimezone() - timedelta(minutes=5)


def test_the_page_follows_what_happens(browser: Browser, worked: Service) -> None:
    """What is decided while somebody looks is counted by itself, without a new page."""
    with looking(browser, worked) as page:
        page.clock.install()
        opened(page, "week")  # nothing that was decided grows too old for it meanwhile
        before = number(page, ".figure dd b")
        for place in range(3):
            asked = {"customerId": f"late-{place}", "channel": "web", "placements": ["greeting"]}
            worked.call("DecisionService/Decide", asked)
        page.wait_for_timeout(1_100)  # the service counts anew after a second
        page.clock.run_for(16_000)
        expect(page.locator(".figure dd b").first).to_have_text(f"{before + 3:,}")


def test_another_window_is_another_time(strategist: Page, worked: Service) -> None:
    """The window is asked of the service, with steps that suit it, and is remembered."""
    with strategist.expect_request(INSIGHT) as asked:
        strategist.locator("#window").select_option("week")
    said = json.loads(str(asked.value.post_data))
    assert said["stepMinutes"] == 360
    assert abs(datetime.now(UTC) - timedelta(days=7) - datetime.fromisoformat(said["since"])) < timedelta(minutes=1)
    assert strategist.evaluate("localStorage.getItem('tact.window')") == "week"


def test_it_speaks_german(strategist: Page) -> None:
    """In German every heading is German, and the strategy keeps its own words."""
    strategist.get_by_label("Language").select_option("de")
    expect(strategist.locator("h2").first).to_have_text("Was gesagt wurde")
    english = {"What", "Why", "The", "Which", "Did", "Caps", "Versions"}
    assert [one for one in strategist.locator("h2").all_inner_texts() if one.split()[0] in english] == []
    assert strategist.evaluate("document.documentElement.lang") == "de"
    expect(strategist.get_by_role("heading", level=1)).to_contain_text("Northlink helps first")


SHADOW = {
    "model": "demo@0123456789ab", "placements": "200", "same": "150", "failed": "3",
    "actions": [
        {"actionId": "fibre-upgrade", "times": "90", "championPropensity": 0.2, "challengerPropensity": 0.1,
         "championFirst": "40", "challengerFirst": "12"},
    ],
}  # fmt: skip
DRIFT = [
    {"actionId": "earbuds", "said": "80", "predicted": 0.4, "came": 0.2, "cameLow": 0.1, "cameHigh": 0.3,
     "outside": True},
    {"actionId": "data-pass", "said": "90", "predicted": 0.2, "came": 0.21, "cameLow": 0.14, "cameHigh": 0.3},
    {"actionId": "new-phone", "said": "9", "predicted": 0.2, "came": 0.5, "cameLow": 0.2, "cameHigh": 0.8},
]  # fmt: skip
SUPPLIES = [{"item": "router", "place": "berlin", "throttleBelow": "50", "pressure": 1.0, "short": "7"}]


def test_challenger_drift_and_supply_are_told(browser: Browser, worked: Service) -> None:
    """What a challenger makes of it, what came of predictions, and what is short, where the service tells of them."""

    def told(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "shadow": SHADOW, "drift": DRIFT, "supplies": SUPPLIES})

    with looking(browser, worked) as page:
        page.route(INSIGHT, told)
        opened(page)
        shadow, drift = (page.locator(f"section[aria-labelledby={part}]") for part in ("shadow", "drift"))
        expect(shadow.locator(".verdict")).to_contain_text("75%")
        expect(shadow.locator("tbody td.num")).to_have_text(["20%", "10%", "40 · 12"])
        expect(drift.locator("tbody tr").first).to_contain_text("drifts")
        rows = drift.locator("table").first.locator("tbody tr").all()
        verdicts = {row.locator("th").inner_text(): row.locator("td").last.inner_text() for row in rows}
        assert verdicts == {"earbuds": "drifts", "data-pass": "as predicted", "new-phone": "too few yet"}
        expect(page.locator("section[aria-labelledby=limits]")).to_contain_text("nothing left")


@pytest.mark.skipif(not full(), reason="Two models are trained in the full profile only.")
def test_a_challenger_is_seen_beside_the_champion(strategist: Page, insight: dict[str, Any]) -> None:
    """Two real models: how often they agree, and what each expects of each action."""
    seen = insight["shadow"]
    shadow, drift = (strategist.locator(f"section[aria-labelledby={part}]") for part in ("shadow", "drift"))
    expect(shadow.locator(".verdict")).to_contain_text(f"{int(seen['placements']):,}")
    expect(shadow.locator("tbody tr")).to_have_count(min(15, len(seen["actions"])))
    expect(drift.locator("table").first.locator("tbody tr")).to_have_count(len(insight["drift"]))
