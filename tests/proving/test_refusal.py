"""A strategy that breaks a promise is refused, by the command line and by a service; the last good one goes on."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.app import Running, StartRefused, start
from service.config import Settings, StorePlace
from service.core.loader import load_strategy
from service.proven import PromiseBroken, check_promises
from service.proving import __main__ as child
from service.proving.kept import LOCK
from service.proving.proofs import Proof, Ruling
from service.proving.prove import Wanted, prove
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


HARD = """\
invariants:
  - id: hard
    says: Nobody's numbers are factors of a large prime.
    never: action.kind == 'offer'
    while: present.a * present.b == 1152921504606847009 && present.a > 1000 && present.b > present.a
    unknown: permits
"""
NUMBERS = """\
  - {id: present.a, says: A number., type: int, purpose: service, source: request}
  - {id: present.b, says: Another one., type: int, purpose: service, source: request}
"""


class Told(Exception):
    """A promise is known to be broken."""


def test_what_is_broken_is_told_before_what_takes_long(tmp_path: Path) -> None:
    """A promise that the solver cannot tell in time keeps nobody from hearing at once that another one is broken."""
    both = HARD + PROMISE.partition("\n")[2]
    folder = written(tmp_path, guardrails=WRONG, invariants=both, fields=POLICY["fields"] + NUMBERS)
    heard: list[str] = []

    def on(proof: Proof) -> None:
        heard.append(proof.id)
        if proof.ruling is Ruling.BROKEN:
            raise Told(proof.id)

    with pytest.raises(Told, match="helped"):
        prove(load_strategy(folder), Wanted(timeout_s=600.0, findings=False), on=on)
    assert "hard" not in heard


def test_a_promise_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    """All questions about one promise together end in time, and it is then unknown in words."""
    folder = written(tmp_path, invariants=HARD, fields=POLICY["fields"] + NUMBERS)
    wanted = Wanted(("hard",), timeout_s=600.0, findings=False, promise_s=0.2)
    (proof,) = prove(load_strategy(folder), wanted).proofs
    assert proof.ruling is Ruling.UNKNOWN
    assert "did not know" in proof.why


async def test_what_changed_while_it_was_proven_is_refused(tmp_path: Path) -> None:
    """A proof of other documents, or of ones that can no longer be read, says nothing about these."""
    folder = written(tmp_path / "s")
    other = replace(load_strategy(folder), version="tact@other")
    with pytest.raises(PromiseBroken, match="changed while they were proven"):
        await check_promises(folder, other)
    good = load_strategy(folder)
    (folder / "actions.yaml").write_text("actions: [")
    with pytest.raises(PromiseBroken, match="changed while they were proven"):
        await check_promises(folder, good)


def test_whoever_holds_the_lock_keeps_nobody_from_proving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for a while, and then proven all the same; what fails while proving fails as itself."""
    monkeypatch.setattr(child, "WAITS_S", 0.1)
    proven = 0

    def fails(folder: Path | None) -> None:
        with child._alone(folder):
            raise FileNotFoundError("of the proof")

    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with child._alone(tmp_path):
            proven += 1
    for folder in (tmp_path, tmp_path / LOCK / "no-folder", None):
        with pytest.raises(FileNotFoundError, match="of the proof"):
            fails(folder)
    assert proven == 1
