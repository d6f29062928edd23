"""The guide to the client: its programs run, and the policy that it shows is the one there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from tact.client import Retry, service_config
from tests.edge.client.world import ROOT, Replica

GUIDE = (ROOT / "docs" / "client.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the blocks of the guide in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_programs_of_the_guide_run(service: Replica) -> None:
    """Each program that calls this machine runs as it stands, and prints what it says it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "protos")}
    said = []
    for block in blocks("python")[:2]:
        program = block.replace("127.0.0.1:50051", service.address).replace("timeout_s=0.05", "timeout_s=5")
        done = subprocess.run((sys.executable, "-c", program), env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines())
    story, mailing = said
    assert story[0].startswith("Good to see you. ")
    assert story[1] == "True"
    assert mailing == ["200"]


def test_the_policy_of_the_guide_is_the_one_there_is() -> None:
    """Who copies the policy into another language copies what the client itself has."""
    (shown,) = blocks("json")
    assert json.loads(shown) == json.loads(service_config(Retry()))
