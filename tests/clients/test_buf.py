"""`buf curl`, a gRPC client in Go, works with nothing but the .proto files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.clients.conftest import ROOT
from tests.conftest import absent


def curl(target: str, method: str, *requests: dict[str, Any], schema: bool = True) -> tuple[int, Any]:
    """Call a method and return the exit code with what was printed as JSON: the answer, or the error."""
    known = ("--schema", str(ROOT / "protos")) if schema else ("--reflect",)
    done = subprocess.run(
        (_buf(), "curl", *known, "--protocol", "grpc", "--http2-prior-knowledge", "--data", "@-",
         f"http://{target}/tact.v1.{method}"),
        input="\n".join(map(json.dumps, requests)), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout or done.stderr)


def _buf() -> str:
    beside_python = Path(sys.executable).parent / "buf"
    found = str(beside_python) if beside_python.exists() else shutil.which("buf")
    if found is None:
        absent("There is no buf beside this Python or on the PATH (pip install buf-bin).")
    return found


def test_a_decision(target: str) -> None:
    """A question is answered with a greeting for a customer nobody knows, with reasons and versions."""
    code, answer = curl(
        target,
        "DecisionService/Decide",
        {
            "customerId": "buf-stranger",
            "channel": "web",
            "placements": ["greeting", "hero"],
            "context": {"present.sentiment": {"doubleValue": 0.5}, "present.waiting": {"boolValue": True}},
            "requestId": "buf-1",
        },
    )
    assert code == 0, answer
    assert answer["requestId"] == "buf-1"
    assert len(answer["decisionId"]) == 26
    assert [one["placement"] for one in answer["answers"]] == ["greeting", "hero"]
    assert answer["answers"][0]["greeting"]["actionId"] == "greet"
    assert not answer["answers"][1]["offer"].get("sells")  # without consent a message is all that there is
    assert all(reason["sentence"] for one in answer["answers"] for reason in one["reasons"])
    assert answer["versions"]["strategy"].startswith("small@")


def test_the_same_key_gives_the_same_answer(target: str) -> None:
    """A question repeated with its idempotency key gets the same answer; with another body it is refused."""
    question = {"customerId": "buf-twice", "channel": "web", "placements": ["greeting"], "idempotencyKey": "k-1"}
    first, again = curl(target, "DecisionService/Decide", question), curl(target, "DecisionService/Decide", question)
    assert first == again
    assert first[0] == 0
    code, error = curl(target, "DecisionService/Decide", {**question, "placements": ["hero"]})
    assert code == 6 << 3
    assert error["code"] == "already_exists"


def test_an_error_has_details(target: str) -> None:
    """A bad question is refused with google.rpc.BadRequest, which buf shows decoded."""
    code, error = curl(target, "DecisionService/Decide", {"customerId": "c", "channel": "fax", "placements": ["hero"]})
    assert code == 3 << 3
    assert error["code"] == "invalid_argument"
    (detail,) = error["details"]
    assert detail["type"] == "google.rpc.BadRequest"


def test_a_stream_of_questions(target: str) -> None:
    """Questions over one stream are each answered, the bad one with its error."""
    questions = [
        {"customerId": f"buf-{n}", "channel": "web" if n else "fax", "placements": ["greeting"], "requestId": str(n)}
        for n in range(5)
    ]
    code, first = _stream(target, questions)
    assert code == 0
    assert {answer["requestId"] for answer in first} == {"0", "1", "2", "3", "4"}
    errors = {answer["requestId"]: answer["error"] for answer in first if "error" in answer}
    assert [violation["field"] for violation in errors.pop("0")["violations"]] == ["channel"]
    assert not errors


def _stream(target: str, questions: list[dict[str, Any]]) -> tuple[int, list[Any]]:
    done = subprocess.run(
        (_buf(), "curl", "--schema", str(ROOT / "protos"), "--protocol", "grpc", "--http2-prior-knowledge",
         "--data", "@-", f"http://{target}/tact.v1.DecisionService/DecideStream"),
        input="\n".join(map(json.dumps, questions)), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    decoder, text, answers = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].lstrip()
    return done.returncode, answers


def test_a_customers_story(target: str) -> None:
    """Events and consent go in, context comes out, an offer is made, and its outcome is recorded once."""
    events = [
        {
            "eventId": f"buf-{n}",
            "customerId": "buf-jones",
            "type": "purchase",
            "occurredAt": "2026-01-31T12:00:00Z",
            "attributes": {"amount": {"doubleValue": 10.5}, "product": {"stringValue": "phone x"}},
        }
        for n in range(3)
    ]
    code, totals = curl(target, "ContextService/RecordEventsStream", {"events": events}, {"events": events[:1]})
    assert (code, totals) == (0, {"stored": "3", "repeated": "1"})
    consent = {"customerId": "buf-jones", "consent": {"level": "personal", "contactChannels": ["email"]}}
    assert curl(target, "ContextService/SetConsent", consent)[1]["consent"]["level"] == "personal"
    agreed = curl(target, "ContextService/GetConsent", {"customerId": "buf-jones"})[1]
    assert agreed["purposes"] == ["service", "personalization"]
    context = curl(target, "ContextService/GetContext", {"customerId": "buf-jones"})[1]
    fields = {field["fieldId"]: field for field in context["fields"]}
    assert fields["past.spend"]["value"] == {"doubleValue": 31.5}
    assert fields["past.products"]["state"] == "FIELD_KNOWLEDGE_HIDDEN"
    question = {"customerId": "buf-jones", "channel": "web", "placements": ["hero"], "explain": True}
    decision = curl(target, "DecisionService/Decide", question)[1]
    assert decision["explanation"]["consentLevel"] == "personal"
    action = decision["answers"][0]["offer"]["actionId"]
    outcome = {"decisionId": decision["decisionId"], "actionId": action, "kind": "OUTCOME_KIND_ACCEPTED", "amount": 60}
    outcomes = [outcome, outcome, {**outcome, "amount": 61}, {**outcome, "actionId": "not-said"}]
    recorded = curl(target, "OutcomeService/RecordOutcomes", {"outcomes": outcomes})[1]
    assert [result["status"].removeprefix("OUTCOME_STATUS_") for result in recorded["results"]] == [
        "STORED",
        "REPEATED",
        "CONFLICT",
        "UNKNOWN_DECISION",
    ]


def test_reflection(target: str) -> None:
    """Where the service was started with reflection, a client needs not even the .proto files."""
    question = {"customerId": "buf-reflects", "channel": "web", "placements": ["greeting"]}
    code, answer = curl(target, "DecisionService/Decide", question, schema=False)
    assert code == 0, answer
    assert answer["answers"][0]["greeting"]["actionId"] == "greet"
