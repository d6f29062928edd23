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


def test_an_older_consent_is_told_as_older(served: Process, tmp_path: Path) -> None:
    """A file of consents says which lines changed nothing because a consent that was given later is stored."""
    file, rows = tmp_path / "consents.jsonl", []
    for level, year in (("none", 2024), ("full", 2023), ("none", 2024)):
        rows.append({"customer_id": "olga", "level": level, "given_at": f"{year}-05-01T12:00:00Z"})
    for row, wanted in zip(rows, ((1, 0), (0, 1), (1, 0)), strict=True):
        file.write_text(json.dumps(row) + "\n")
        loaded = report("consents", "load", file, "--target", served.target)
        assert (loaded["stored"], loaded["older"], loaded["refused"]) == (*wanted, 0)
        assert "repeated" not in loaded
    assert report("context", "consent", "olga", "--target", served.target)["consent"]["level"] == "none"


def test_consent_is_set_and_shown(served: Process) -> None:
    """`context consent` replaces the consent and, without a level, shows it."""
    target = ("--target", served.target)
    set_ = report("context", "consent", "olaf", "--level", "personal", "--contact", "email", *target)
    assert set_["consent"]["level"] == "personal"
    shown = report("context", "consent", "olaf", *target)
    assert shown["consent"]["contact_channels"] == ["email"]
    assert set(shown["purposes"]) == {"service", "personalization"}


def test_how_a_consent_changed_is_shown(served: Process) -> None:
    """`context consent --history` shows every change with its times and where it was given."""
    words, target = ("context", "consent", "hanna"), ("--target", served.target)
    report(*words, "--level", "personal", "--contact", "email", "--source", "web form", *target)
    report(*words, "--level", "none", "--source", "hotline", *target)
    assert report(*words, *target)["history"] == []
    changes = report(*words, "--history", *target)["history"]
    assert [(change["level"], change["source"]) for change in changes] == [
        ("personal", "web form"),
        ("none", "hotline"),
    ]
    shown = typed(*words, "--history", *target).stdout
    assert "web form" in shown
    assert "hotline" in shown
    assert "--history" in one_line(typed(*words, "--history", "--level", "none", *target), 2)


def test_what_was_decided_can_be_validated(served: Process) -> None:
    """`tact validate` ends with 0 while what was decided may be said, and with 1 and the reason when it may not."""
    target = ("--target", served.target)
    tact("context", "consent", "valerie", "--level", "full", "--contact", "email", *target)
    decided = report("decide", "valerie", "--channel", "email", "--placement", "greeting", *target)
    said = report("validate", decided["decision_id"], *target)
    assert said["valid"]
    assert said["placements"][0]["action_id"] == decided["answers"][0]["greeting"]["action_id"]
    assert "yes" in typed("validate", decided["decision_id"], *target).stdout
    tact("context", "consent", "valerie", "--level", "full", *target)
    refused = typed("validate", decided["decision_id"], *target)
    assert refused.returncode == 1
    assert "not permitted to be contacted" in refused.stdout
    assert "no decision of this decision_id" in one_line(typed("validate", "0" * 26, *target), 1)
    assert "26 characters" in one_line(typed("validate", "x", *target), 1)


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


def test_a_visitor_becomes_a_customer_and_back(served: Process) -> None:
    """`identity` links, shows and unlinks; what cannot be is one line that says why."""
    target = ("--target", served.target)
    linked = report("identity", "link", "visitor-1", "ute", *target)
    assert (linked["newly_linked"], linked["person"]["customer_id"]) == (True, "ute")
    assert "linked before" in tact("identity", "link", "visitor-1", "ute", *target).stdout
    assert "visitor-1" in tact("identity", "show", "visitor-1", *target).stdout
    assert "is itself an alias" in one_line(typed("identity", "link", "visitor-2", "visitor-1", *target), 1)
    assert "another customer" in one_line(typed("identity", "unlink", "visitor-1", "--from", "olaf", *target), 1)
    assert report("identity", "unlink", "visitor-1", "--from", "ute", *target) == {"newly_unlinked": True}
    assert "was not linked" in tact("identity", "unlink", "visitor-1", *target).stdout
    assert "ute has no other id" in tact("identity", "show", "ute", *target).stdout


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
