"""The services that are compared differ in what is said, and in nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path

import pytest

from benchmarks import world
from benchmarks.collector import Takes
from benchmarks.evidence import NotDecided
from benchmarks.matrix import ACTIONS, LEVELS, RULES, groups, memory_mb
from benchmarks.model import trained
from benchmarks.population import Population
from benchmarks.processes import Pinned
from benchmarks.stage import CLIENT_CORE, Size, port_said
from benchmarks.telemetry_cost import asked, stages_us
from benchmarks.without_log import NOWHERE, NoSuchLine, without_log
from service.core.loader import load_strategy
from service.store.functions import Functions

METRICS = """\
# TYPE tact_decide_stage_duration_seconds histogram
tact_decide_stage_duration_seconds_bucket{channel="web",stage="read",le="0.001"} 3
tact_decide_stage_duration_seconds_sum{channel="web",stage="read"} 0.003
tact_decide_stage_duration_seconds_count{channel="web",stage="read"} 4
tact_decide_stage_duration_seconds_sum{channel="desk",stage="read"} 0.005
tact_decide_stage_duration_seconds_count{channel="desk",stage="read"} 4
tact_decide_stage_duration_seconds_sum{channel="web",stage="judge"} 0.0
tact_decide_stage_duration_seconds_count{channel="web",stage="judge"} 0
"""


def test_the_commit_without_a_log_is_the_commit_otherwise() -> None:
    """One function of the commit keeps its last line alone; all else stands as it is, under another version."""
    commit = (files("service.store") / "lua" / "commit.lua").read_text(encoding="utf-8")
    changed = without_log(commit)
    before, after = commit.splitlines(), changed.splitlines()
    added = [line for line in after if line not in before]
    assert added == [NOWHERE.rstrip()]
    at = after.index(added[0])
    assert before[:at] == after[:at]
    assert before[-len(after) + at + 1 :] == after[at + 1 :]
    assert not any("log_decision" in line for line in before[at : len(before) - len(after) + at + 1])
    assert Functions.of(changed).version != Functions.of(commit).version


NOTHING_LOGGED = """
import asyncio, sys
from benchmarks import without_log
without_log.take_the_log_out()
from benchmarks.peers.ours import InMemory, NOW_MS, Ours, WAITS_S
from pathlib import Path
from service.store.reading import Committing, commit_packer
sent = []

class Seen(InMemory):
    async def commit(self, commit, deadline_s):
        sent.append(commit)
        return await super().commit(commit, deadline_s)

async def run():
    ours = Ours(*map(Path, sys.argv[1:]), 8)
    decider = ours.decider(Seen(await ours.known()))
    for request in ours.requests:
        await decider.decide(request, WAITS_S)

asyncio.run(run())
pack = commit_packer(Committing.of("f", (1, 2, 3)))
packed = [pack(commit, b"digest")[1] for commit in sent]
assert sent and not any(commit.entry for commit in sent)
assert all(b"$32\\r\\n" + without_log.UNSEALED + b"\\r\\n" in one for one in packed)
"""


@pytest.mark.parametrize("kernel", ["", "python"])
def test_without_a_log_no_entry_is_packed_or_sealed(tmp_path: Path, kernel: str) -> None:
    """What decisions hand to the store has an empty entry, and nothing in the place of its seal, compiled or not."""
    strategy = world.write_strategy(tmp_path / "strategy", 8)
    others = {name: value for name, value in os.environ.items() if name != "TACT_KERNEL"}
    subprocess.run(
        [sys.executable, "-c", NOTHING_LOGGED, str(strategy), str(trained(strategy, print))],
        check=True, timeout=60, env={**others, "TACT_KERNEL": kernel} if kernel else others,
    )  # fmt: skip


def test_a_commit_that_writes_otherwise_is_refused() -> None:
    """Where the log is written elsewhere, nothing is measured rather than the log against itself."""
    with pytest.raises(NoSuchLine, match="0 functions"):
        without_log("local function commit(keys)\nend\n")


def test_stages_are_means_over_all_channels() -> None:
    """8 ms in 8 decisions are 1,000 µs each; a stage that no decision came to is left out."""
    assert stages_us("", METRICS) == {"read": pytest.approx(1000.0)}


def test_stages_are_those_between_two_readings() -> None:
    """What was there before does not count: 4 ms in one decision more."""
    later = METRICS.replace("0.005", "0.009").replace(
        '{channel="desk",stage="read"} 4', '{channel="desk",stage="read"} 5'
    )
    assert stages_us(METRICS, later) == {"read": pytest.approx(4000.0)}


def test_metrics_without_stages_are_no_evidence() -> None:
    """An answer that tells nothing of stages ends the section instead of drawing nothing."""
    with pytest.raises(NotDecided, match="nothing of the stages"):
        stages_us("", "process_cpu_seconds_total 1.0\n")
    with pytest.raises(NotDecided, match="nothing of the stages"):
        stages_us(METRICS, METRICS)


def posted(port: int, body: bytes) -> int:
    """Post to the collector and return the status."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=5.0)) as connection:
        connection.request("POST", "/v1/traces", body)
        return connection.getresponse().status


def test_the_collector_counts_what_it_takes(tmp_path: Path) -> None:
    """Whatever is posted is taken with 200, and told by path in calls and bytes."""
    assert Takes.protocol_version == "HTTP/1.1"  # exporters keep their connection
    command = [sys.executable, "-m", "benchmarks.collector"]
    with Pinned(command, CLIENT_CORE, tmp_path / "log", port_said) as collector:
        for size in (10, 20):
            assert posted(collector.port, b"x" * size) == 200
        assert json.loads(asked(f"http://{collector.target}/received")) == {
            "/v1/traces calls": 2, "/v1/traces bytes": 30
        }  # fmt: skip


def test_the_matrix_has_every_case_that_is_promised() -> None:
    """10, 100 and 1,000 actions, 0 to 200 rules, each consent, lines and trees; the most actions also with 64 calls."""
    cells = [cell for group in groups(Size(), quick=False).values() for cell in group]
    assert {cell.size.actions for cell in cells} == set(ACTIONS) == {10, 100, 1000}
    assert {cell.size.rules for cell in cells} >= set(RULES) >= {0, 200}
    assert [cell.level for cell in cells if cell.level] == list(LEVELS)
    assert {cell.size.trees for cell in cells} == {False, True}
    assert {cell.in_flight for cell in cells if cell.size.actions == 1000} == {8, 64}


def test_a_quick_matrix_has_what_the_bounds_need() -> None:
    """The growth from 10 to 1,000 actions, and 1,000 of them with 8 and 64 calls in flight."""
    cells = groups(Size(), quick=True)["actions"]
    assert {(cell.size.actions, cell.in_flight) for cell in cells} >= {(10, 8), (1000, 8), (1000, 64)}


@pytest.mark.parametrize("count", [0, 3, 8, 40, 200])
def test_a_strategy_has_as_many_rules_as_asked_for(tmp_path: Path, count: int) -> None:
    """From none to 200, all valid, about half of them guardrails, and no two conditions alike."""
    strategy = load_strategy(world.write_strategy(tmp_path, 100, count))
    assert len(strategy.guardrails) + len(strategy.eligibility) == count
    written = world.strategy(100, count)
    conditions = [rule["when"] for kind in ("guardrails", "eligibility") for rule in written[kind]]
    assert len(set(conditions)) == count
    if count >= 40:
        assert abs(len(strategy.guardrails) - len(strategy.eligibility)) <= 1


@pytest.mark.parametrize("level", LEVELS)
def test_requests_of_a_consent_are_about_its_customers(level: str) -> None:
    """Each is about a customer who agreed to just that; `none` about those who never said anything."""
    population = Population.of(300, 1_793_491_200_000)
    asked_about = {request.customer_id for request in population.requests(400, level)}
    assert {population.level(customer) or "none" for customer in asked_about} == {level}
    assert len(asked_about) > 5


def test_calls_that_are_open_at_once_are_about_different_customers() -> None:
    """Of any 64 requests in a row no two are about one customer, or they would wait for each other's memory."""
    asked_about = [request.customer_id for request in Population.of(300, 1_793_491_200_000).requests(900)]
    assert all(len(set(asked_about[at : at + 64])) == 64 for at in range(900 - 64))
    assert set(asked_about[:300]) == set(asked_about)


def test_a_consent_that_nobody_gave_is_no_case() -> None:
    """It is an error, not an endless search."""
    with pytest.raises(ValueError, match="none of 3 customers"):
        Population.of(3, 1_793_491_200_000).agreed("marketing")


def test_memory_is_told_in_three_ways(tmp_path: Path) -> None:
    """Own pages are part of the pages with their share of common ones, which are part of all that is mapped."""
    ballast = "import time; kept = b'x' * 50_000_000; print('serving on x:1', flush=True); time.sleep(600)"
    with Pinned([sys.executable, "-c", ballast], CLIENT_CORE, tmp_path / "log", lambda line: 1) as server:
        held = memory_mb(server.pid)
    assert 50 < held["USS"] <= held["PSS"] <= held["RSS"] < 120
