"""A Node client with @grpc/grpc-js works with nothing but the .proto files."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import google.rpc  # type: ignore[import-untyped]  # ships no types

from tests.clients.conftest import ROOT
from tests.conftest import absent

NODE = Path(__file__).parent / "node"
GOOGLEAPIS = str(files(google.rpc) / ".." / "..")


def call(target: str, method: str, *requests: dict[str, Any]) -> dict[str, Any]:
    """Call a method from Node and return what it printed."""
    node = shutil.which("node")
    if node is None:
        absent("There is no node on the PATH (Debian: apt-get install nodejs npm).")
    if not (NODE / "node_modules" / "@grpc" / "grpc-js").is_dir():
        absent("The Node client's modules are not installed: run `npm ci` in tests/clients/node.")
    done = subprocess.run(
        (node, str(NODE / "call.mjs"), target, str(ROOT / "protos"), GOOGLEAPIS),
        input=json.dumps({"method": method, "requests": requests}),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_decision(target: str) -> None:
    """A question with typed values is answered, exactly one of greeting, offer and suppression a placement."""
    said = call(
        target,
        "decide",
        {
            "customerId": "node-stranger",
            "channel": "web",
            "placements": ["greeting", "hero"],
            "context": {"present.sentiment": {"doubleValue": -0.5}, "present.reason": {"stringValue": "bill"}},
            "requestId": "node-1",
        },
    )
    (answer,) = said["answers"]
    assert answer["requestId"] == "node-1"
    assert [one["answer"] for one in answer["answers"]] == ["greeting", "offer"]
    assert answer["answers"][0]["greeting"]["text"] == "Good to see you."
    assert not answer["answers"][1]["offer"].get("sells")  # without consent a message is all that there is
    assert answer["answers"][1]["reasons"]
    assert answer["versions"]["strategy"].startswith("small@")


def test_an_error_has_details(target: str) -> None:
    """A bad question is refused with every bad field in google.rpc.BadRequest."""
    said = call(
        target,
        "decide",
        {"channel": "fax", "placements": ["hero"], "context": {"present.sentiment": {"intValue": 1}}},
    )
    assert said["code"] == "INVALID_ARGUMENT"
    assert [violation["field"] for violation in said["violations"]] == [
        "customer_id",
        "channel",
        'context["present.sentiment"]',
    ]
    assert all(violation["description"].endswith(".") for violation in said["violations"])


def test_a_stream_of_questions(target: str) -> None:
    """Three hundred questions over one stream are each answered once; a bad one ends nothing."""
    said = call(
        target,
        "decideStream",
        *(
            {
                "customerId": f"node-{number}",
                "channel": "web",
                "placements": ["nowhere" if number == 150 else "greeting"],
                "requestId": str(number),
            }
            for number in range(300)
        ),
    )
    answers = {answer["requestId"]: answer for answer in said["answers"]}
    assert len(said["answers"]) == len(answers) == 300
    assert "code" not in said
    bad = answers.pop("150")
    assert bad["error"]["code"] == 3
    assert [violation["field"] for violation in bad["error"]["violations"]] == ["placements[0]"]
    assert all(len(answer["decisionId"]) == 26 for answer in answers.values())


def test_the_lock_names_no_address() -> None:
    """The Node client's lock names versions and hashes, and no registry; nothing runs on installation."""
    lock = json.loads((NODE / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert "ignore-scripts=true" in (NODE / ".npmrc").read_text().splitlines()
