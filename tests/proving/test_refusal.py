"""A strategy that breaks a promise is refused, by the command line and by a service; the last good one goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service.app import Running, StartRefused, start
from service.config import Settings, StorePlace
from tests.cli.commands import typed
from tests.core.policies import POLICY, write_policy

PROMISE = """\
invariants:
  - id: helped
    says: Whoever has a ticket is helped first.
    never: "'upsell' in action.intents"
    while: past.open_tickets > 0
"""
WRONG = POLICY["guardrails"].replace("past.open_tickets > 0", "past.open_tickets > 1", 1)
ENDS_WITHIN_S = 30.0


def written(folder: Path, **changes: str) -> Path:
    """Write the strategy with its promise."""
    return write_policy(folder, **{"invariants": PROMISE, **changes})


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep proofs where only this test looks."""
    monkeypatch.setenv("TACT_PROOFS", str(tmp_path / "proofs"))


def test_check_refuses_a_strategy_that_breaks_a_promise(tmp_path: Path) -> None:
    """It names the promise with file and line, tells of a customer, and ends with 1; the good one is summed up."""
    ran = typed("check", written(tmp_path / "wrong", guardrails=WRONG))
    assert ran.returncode == 1
    assert ran.stdout.startswith("invariants.yaml:2: the promise `helped` is broken: Whoever has a ticket is helped")
    assert "past.open_tickets = 1" in ran.stdout
    assert "1 promise is broken" in ran.stderr
    good = typed("check", written(tmp_path / "good"), "--json")
    assert (good.returncode, json.loads(good.stdout)["invariants"]) == (0, 1)
    assert typed("check", written(tmp_path / "wrong", guardrails=WRONG), "--no-prove").returncode == 0


def test_prove_tells_every_verdict_and_ends_as_it_found(tmp_path: Path) -> None:
    """0 where all is proven, 1 where something is broken; what is asked for alone is proven alone."""
    wrong = written(tmp_path / "wrong", guardrails=WRONG)
    broken = typed("prove", wrong, "--no-findings", "--no-cache")
    assert broken.returncode == 1
    assert "BROKEN   helped (invariants.yaml:2)" in broken.stdout
    assert broken.stdout.count("proven ") == 4
    assert "1 broken, 4 proven" in broken.stderr
    alone = json.loads(typed("prove", wrong, "--only", "standard.offers-need-consent", "--json").stdout)
    assert (alone["ok"], [one["ruling"] for one in alone["proofs"]]) == (True, ["proven"])
    unknown = typed("prove", wrong, "--only", "helpt")
    assert unknown.returncode == 1
    assert "there is no invariant `helpt`" in unknown.stderr


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(ENDS_WITHIN_S):
        while not happened():  # noqa: ASYNC110 - a service tells nobody when it has looked
            await asyncio.sleep(0.02)


def settings(folder: Path, store: str) -> Settings:
    """Return settings of a service over a folder."""
    return Settings(store=StorePlace.parse(store), strategy=folder, port=0, store_wait_s=5.0)


async def test_a_running_service_refuses_a_broken_promise_and_goes_on(tmp_path: Path, clean_store_url: str) -> None:
    """The changed strategy is refused with the promise and a customer; mended, another version comes into force."""
    folder = written(tmp_path / "s")
    running: Running = await start(settings(folder, clean_store_url))
    try:
        first = running.strategy.version
        written(folder, guardrails=WRONG)
        await until(lambda: running.reloading.refused is not None)
        refused = running.reloading.refused
        assert refused is not None
        assert refused.what == "strategy"
        (problem,) = refused.problems
        assert problem.startswith("invariants.yaml:2: `helped` is broken: Whoever has a ticket is helped first.")
        assert "past.open_tickets = 1" in problem
        assert running.strategy.version == first
        written(folder, weights=POLICY["weights"] + "# mended\n")
        await until(lambda: running.strategy.version != first)
    finally:
        await running.stop()


async def test_a_service_does_not_start_with_a_broken_promise(tmp_path: Path, clean_store_url: str) -> None:
    """It says which promise, where it stands, and for whom it is broken."""
    with pytest.raises(StartRefused, match=r"invariants\.yaml:2: `helped` is broken"):
        await start(settings(written(tmp_path / "s", guardrails=WRONG), clean_store_url))
