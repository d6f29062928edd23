"""A service and the commands that talk to it, each a process of its own."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.commands import DEMO, Process, one_line, report, tact, typed

DESK = ("--channel", "desk", "--placement", "greeting", "--placement", "offer", "--context", "present.sentiment=1")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a service on a free port with a store of its own."""
    store = tmp_path_factory.mktemp("served") / "store"
    with Process("serve", "--store", f"embedded:{store}", "--port", "0", "--json") as process:
        yield process.serving()


def event(number: int, customer: str, kind: str, days_ago: float, **attributes: object) -> str:
    """Return a line of an events file."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    row = {"event_id": f"{customer}-{number}", "customer_id": customer, "type": kind, "attributes": attributes}
    return json.dumps({**row, "occurred_at": at.isoformat()})


def test_what_is_loaded_is_known_and_decides(served: Process, tmp_path: Path) -> None:
    """Consent and events by file, then the context shows them, and the decision keeps the promise about tickets."""
    target = ("--target", served.target)
    file = tmp_path / "events.jsonl.gz"
    lines = [
        event(1, "ina", "customer.joined", 900.0, adult=True),
        event(2, "ina", "ticket.opened", 1.0, ticket="t1", topic="network"),
        "",
        event(3, "ina", "page.viewed", 0.5, topic="internet", minutes=4),
    ]
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    consents = tmp_path / "consents.jsonl"
    consents.write_text(json.dumps({"customer_id": "ina", "level": "full", "contact": ["email"]}) + "\n")
    assert json.loads(tact("consents", "load", consents, "--json", *target).stdout)["stored"] == 1
    loaded = report("events", "load", file, "--strategy", DEMO, *target)
    assert (loaded["stored"], loaded["repeated"], loaded["refused"]) == (3, 0, 0)
    again = report("events", "load", file, "--strategy", DEMO, *target)
    assert (again["stored"], again["repeated"]) == (0, 3)
    known = {f["field_id"]: f.get("value") for f in report("context", "show", "ina", *target)["fields"]}
    assert known["past.open_tickets"] == 1
    assert known["past.interest_internet"] == pytest.approx(4.0, rel=0.05)
    decided = json.loads(tact("decide", "ina", *DESK, "--explain", "--json", *target).stdout)
    assert not any(placed.get("offer", {}).get("sells") for placed in decided["answers"])
    assert {f["field_id"]: f.get("value") for f in decided["explanation"]["fields"]}["present.sentiment"] == 1.0


def test_consent_is_set_and_shown(served: Process) -> None:
    """`context consent` replaces the consent and, without a level, shows it."""
    target = ("--target", served.target)
    set_ = report("context", "consent", "olaf", "--level", "personal", "--contact", "email", *target)
    assert set_["consent"]["level"] == "personal"
    shown = report("context", "consent", "olaf", *target)
    assert shown["consent"]["contact_channels"] == ["email"]
    assert set(shown["purposes"]) == {"service", "personalization"}


def test_an_outcome_finds_its_decision(served: Process) -> None:
    """What was said can be told as shown, once; another amount under the same outcome is refused."""
    target = ("--target", served.target)
    decided = report("decide", "nobody", "--channel", "web", "--placement", "greeting", "--key", "k1", *target)
    again = report("decide", "nobody", "--channel", "web", "--placement", "greeting", "--key", "k1", *target)
    assert decided["decision_id"] == again["decision_id"]
    action = decided["answers"][0]["greeting"]["action_id"]
    words = ("outcome", decided["decision_id"], action, "shown")
    assert report(*words, *target)["status"] == "stored"
    assert report(*words, *target)["status"] == "repeated"
    assert "first one holds" in one_line(typed(*words, "--amount", "3", *target), 1)
    assert "no decision id" in one_line(typed("outcome", "x", action, "shown", *target), 1)
    assert "no outcome" in one_line(typed("outcome", decided["decision_id"], action, "loved", *target), 2)


def test_bad_rows_are_refused_with_their_lines(served: Process, tmp_path: Path) -> None:
    """Whatever is wrong with a line, it is named by number, the good lines go in, and the command ends with 1."""
    file = tmp_path / "events.jsonl"
    good = event(1, "uwe", "survey.answered", 3.0, score=9)
    bad = [
        "{not json",
        event(2, "uwe", "survey.answered", 3.0, score="nine"),
        event(3, "uwe", "survey.answered", 3.0, score=99),
        event(4, "uwe", "survey.asked", 3.0),
        event(5, "uwe", "survey.answered", -3.0, score=9),
        '{"event_id": 7}',
    ]
    file.write_text("\n".join([good, *bad, ""]))
    ran = typed("events", "load", file, "--strategy", DEMO, "--target", served.target, "--json")
    assert ran.returncode == 1
    said = json.loads(ran.stdout)
    assert (said["stored"], said["refused"]) == (1, len(bad))
    assert {int(line.split("events.jsonl:")[1].split(":")[0]) for line in said["first_refused"]} == set(range(2, 8))


def test_a_bad_question_names_the_field(served: Process) -> None:
    """What the service refuses is one line with the path of the field."""
    said = one_line(typed("decide", "ina", "--channel", "fax", "--placement", "hero", "--target", served.target), 1)
    assert "channel" in said
    assert "fax" in said


def test_health_ends_as_the_service_is(served: Process) -> None:
    """`tact health` says serving and ends with 0."""
    assert report("health", "--target", served.target)["status"] == "serving"


def test_answers_are_for_people_too(served: Process) -> None:
    """Without --json a decision is a table with the words, the reason and the version."""
    target = ("--target", served.target)
    shown = typed("decide", "nobody", "--channel", "web", "--placement", "greeting", "--explain", *target)
    assert shown.returncode == 0
    assert "greet-neutral" in shown.stdout
    assert "strategy demo@" in shown.stdout
    assert "past.open_tickets" in typed("context", "show", "nobody", *target).stdout
