"""Learning from its own log: the demo world, lived through by a real service with the strategy's own guesses.

    python -m benchmarks.learning [--decisions 50000] [--customers 2500] [--seed 1] [--out DIR] [--json FILE]

Customers come in the order of time; each is decided for with all guardrails and caps. What they take is drawn from the
truth of the world: it is an event, also where nothing was said, and is reported with RecordOutcomes where it had been.
After each round the log is exported, `tact train` learns from it and the events, and the service goes on with the new
version. Each decision is judged by the truth, against a random choice and the best choice among what might have been
said there and then. Nothing but that judgement and the world's dice knows the truth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

import grpc

from benchmarks.learning_report import Round, report_of
from benchmarks.learning_world import DAYS, Life, Trying, Visit, asked_instead, explores, write_strategy
from benchmarks.loading import batches, few_at_once
from benchmarks.processes import Pinned
from benchmarks.stage import TACT, port_said
from models.context import ContextSchema
from models.schema import load_context
from service.rpc.checks import timestamp
from service.rpc.client import Event, Outcome, TactClient
from service.store.embedded import EmbeddedStore
from tact.v1 import decision_pb2, decision_pb2_grpc, values_pb2
from training.report.page import write_report
from training.strategy import read_strategy
from training.worlds.files import Row, rfc3339, write_rows

Decide: TypeAlias = Callable[..., Awaitable[decision_pb2.DecideResponse]]

ROOT = Path(__file__).parent.parent
CHANNEL, PLACEMENT = "web", "hero"
AT_ONCE = 16
PATIENCE_S = 60.0
LATER_MS = 60_000
ROUNDS = (
    Trying(3, 0.5, 0.45, 0.05),
    Trying(9, 0.5, 0.45, 0.05),
    Trying(21, 0.4, 0.37, 0.03),
    Trying(36, 0.4, 0.37, 0.03),
    Trying(54, 0.3, 0.27, 0.03),
    Trying(DAYS, 0.0, 0.0, 0.0),
)
"""The less is known, the sooner is learned, and the more is tried; in the last tenth, nothing."""
_NOT_KNOWN = {
    code for name, code in values_pb2.ReasonCode.items() if name.endswith("_UNKNOWN")
}  # a rule of which it is not known whether it holds asks for nothing instead


class NotLearned(Exception):
    """Nothing could be learned from the log: the message is what the training said."""


LEAST = {"decisions": 1_000, "customers": 50}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of the world is lived through, and how often is learned."""

    decisions: int = 50_000
    customers: int = 2_500
    seed: int = 1
    rounds: tuple[Trying, ...] = ROUNDS


@dataclass(slots=True)
class Learning:
    """One run in a folder; `rounds` is what it found."""

    plan: Plan
    folder: Path
    rounds: list[Round] = field(default_factory=list)
    strategy: Path = field(init=False)
    life: Life = field(init=False)
    schema: ContextSchema = field(init=False)
    instead: dict[str, frozenset[str]] = field(init=False)
    guessed: dict[str, float] = field(init=False)
    events: list[Row] = field(default_factory=list)

    def run(self) -> None:
        """Live through all rounds."""
        plan = self.plan
        self.strategy = write_strategy(self.folder / "strategy")
        self.life = Life(plan.customers, plan.decisions, plan.seed)
        self.schema = load_context(self.strategy)
        self.instead = asked_instead(self.strategy)
        declared = read_strategy(self.strategy).outcomes.actions
        self.guessed = self.life.guessed({action.id: action.propensity for action in declared})
        model: Path | None = None
        with EmbeddedStore(self.folder / "store") as url:
            for number, trying in enumerate(plan.rounds):
                started = time.monotonic()
                explores(self.strategy, trying)
                with self._serving(url, model) as target:
                    asyncio.run(self._round(target, number, model))
                    self._tact("log", "export", "--target", target, "--out", str(self.folder / "log"))
                self._tell(self.rounds[-1], time.monotonic() - started)
                if number < len(plan.rounds) - 1:
                    model = self._trained() or model

    async def _round(self, target: str, number: int, model: Path | None) -> None:
        found = Round(number, model.name if model else "")
        ends = [0, *(one.until for one in self.plan.rounds)]
        days = range(ends[number], ends[number + 1])
        async with (
            TactClient(target, schema=self.schema, timeout_s=PATIENCE_S) as tact,
            grpc.aio.insecure_channel(target) as channel,
        ):
            decide = decision_pb2_grpc.DecisionServiceStub(channel).Decide
            if number == 0:
                await self._agree(tact)
            for day in days:
                await self._happen(tact, day)
                reported: list[Outcome] = []
                taken: list[Event] = []
                visits = self.life.visits(day)
                await few_at_once((self._visited(decide, visit, found, reported, taken) for visit in visits), AT_ONCE)
                await self._tell_events(tact, taken)
                await few_at_once(tact.record_outcomes(batch) for batch in batches(reported, 500))
        self.rounds.append(found)

    async def _visited(
        self, decide: Decide, visit: Visit, found: Round, reported: list[Outcome], taken: list[Event]
    ) -> None:
        asked = decision_pb2.DecideRequest(
            customer_id=visit.customer, channel=CHANNEL, placements=[PLACEMENT], explain=True,
            as_of=timestamp(visit.at_ms),
        )  # fmt: skip
        answer = await decide(asked, timeout=PATIENCE_S)
        assert not answer.degraded or len(answer.degraded_reasons) == 1, "every answer is whole"
        (placed,) = answer.answers
        said, allowed = placed.offer.action_id or placed.greeting.action_id, open_to(answer.explanation, self.instead)
        kept = any(one.code == values_pb2.REASON_CODE_PROMISED for one in placed.reasons)
        assert not said or kept or said in allowed, f"{said} was said, and is none of {allowed}"
        guess = _first({action: self.guessed[action] for action in allowed})
        first, guess = (said, said) if kept else (_first(allowed), guess)
        found.add(visit.customer, self.life.value(visit.customer, said, first, guess, list(allowed)))
        when, names = visit.at_ms + LATER_MS, []
        if not said:
            treated = [fate.action_id for fate in answer.explanation.actions if not _has_no_treatment(fate)]
            names = self.life.happens_anyway(visit.customer, treated)
        elif (amount := self.life.happens(visit.customer, said)) is not None:
            reported.append(Outcome(answer.decision_id, said, "accepted", amount=amount, occurred_at=when))
            names = [said]
        taken += [
            Event(f"{answer.decision_id}-{name}", visit.customer, "taken", when, {"action": name}) for name in names
        ]

    async def _agree(self, tact: TactClient) -> None:
        begins = self.life.begin_ms(0)
        await few_at_once(
            tact.set_consent(one.id, one.level, ("email",) if one.email else (), given_at=begins - 400 * 86_400_000)
            for one in self.life.people()
        )

    async def _happen(self, tact: TactClient, day: int) -> None:
        before = self.life.begin_ms(day)
        after = self.life.begin_ms(day - 1) if day else 0
        events = [
            Event(f"{name}-{number:03}", name, one.type, one.at_ms, one.attributes)  # type: ignore[arg-type]  # plain
            for name, number, one in self.life.happenings(after, before)
        ]
        await self._tell_events(tact, events)

    async def _tell_events(self, tact: TactClient, events: list[Event]) -> None:
        await few_at_once(tact.record_events(batch) for batch in batches(events, 500))
        self.events += [
            {
                "event_id": one.event_id, "customer_id": one.customer_id, "type": one.type,
                "occurred_at": rfc3339(cast(int, one.occurred_at)), "attributes": one.attributes,
            }
            for one in events
        ]  # fmt: skip

    def _trained(self) -> Path | None:
        """Train on the log; None where it is too short yet."""
        events = self.folder / "events.jsonl"
        write_rows(events, self.events)
        told = subprocess.run(
            [*TACT, "train", "--strategy", str(self.strategy), "--log", str(self.folder / "log"),
             "--events", str(events), "--out", str(self.folder / "models"), "--forests", "0", "--json"],
            check=False, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        if told.returncode:
            if "no action has enough rows" in told.stderr:
                return None
            raise NotLearned(told.stderr[-2000:])
        return Path(json.loads(told.stdout)["artifact"])

    def _tact(self, *arguments: str) -> None:
        subprocess.run([*TACT, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)

    @contextmanager
    def _serving(self, url: str, model: Path | None) -> Iterator[str]:
        command = [
            *TACT, "serve", "--store", url, "--strategy", str(self.strategy), "--port", "0", "--allow-as-of",
            "--store-wait", "5", "--json", *(("--model", str(model)) if model else ()),
        ]  # fmt: skip
        with Pinned(command, 0, self.folder / "service.log", port_said) as service:
            yield service.target

    def _tell(self, one: Round, seconds: float) -> None:
        print(
            f"round {one.number}: {one.decisions:,} decisions with {one.model or 'priors'}: random "
            f"{one.mean('random'):.3f}, said {one.mean('said'):.3f}, best {one.mean('best'):.3f} EUR a decision; "
            f"{one.closed('said')} of the gap is closed, {one.closed('first')} by first choices, "
            f"{one.closed('guess')} by the strategy's guesses ({seconds:.0f} s)",
            flush=True,
        )


def open_to(explanation: decision_pb2.Explanation, instead: Mapping[str, frozenset[str]]) -> dict[str, float]:
    """Return what may be said, with what the service believes it to be worth: of it, what rules ask for instead of what
    they hold back, where any of that is worth saying.
    """
    allowed = {fate.action_id: fate.net_value for fate in explanation.actions if not fate.vetoes}
    vetoes = [veto for fate in explanation.actions for veto in fate.vetoes]
    holding = {veto.rule_id for veto in vetoes if veto.code not in _NOT_KNOWN}
    asked = set[str]().union(*(instead[rule] for rule in holding & instead.keys()))
    return {action: net for action, net in allowed.items() if action in asked and net > 0.0} or allowed


def _first(allowed: Mapping[str, float]) -> str:
    """Return what is believed to be worth most; empty where nothing is worth more than silence."""
    best = max(allowed, key=allowed.__getitem__, default="")
    return best if best and allowed[best] > 0.0 else ""


def _has_no_treatment(fate: decision_pb2.ActionFate) -> bool:
    return any(reason.code == values_pb2.REASON_CODE_NO_TREATMENT for reason in fate.vetoes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and say what was found; the exit code is 1 where less than 70 % of the gap is closed in the last round, or
    not surely more than by the strategy's own guesses.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.learning", description=(__doc__ or "").split("\n")[0])
    defaults = Plan()
    for name in ("decisions", "customers", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument(
        "--out", type=Path, help="keep everything that is written here: the log, the models, the report"
    )
    parser.add_argument("--report", type=Path, help="write the curve as an HTML page here")
    parser.add_argument("--json", type=Path, help="write what was found here")
    chosen = parser.parse_args(arguments)
    for name, least in LEAST.items():
        if getattr(chosen, name) < least:
            parser.error(
                f"--{name}: {getattr(chosen, name)} is too few for every round to say something; {least} at least"
            )
    if chosen.out and chosen.out.exists() and any(chosen.out.iterdir()):
        parser.error(f"--out: {chosen.out} holds something; name an empty folder or a new one")
    plan = Plan(chosen.decisions, chosen.customers, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="tact-learning-") as folder:
        learning = Learning(plan, chosen.out or Path(folder))
        try:
            learning.run()
        except NotLearned as why:
            print(f"nothing could be learned: {why}", file=sys.stderr)
            return 1
    if chosen.report:
        write_report(chosen.report, report_of(learning.rounds))
    if chosen.json:
        found = [one.plain() for one in learning.rounds]
        chosen.json.write_text(json.dumps({"plan": asdict(plan), "rounds": found}, indent=1))
    if lack := learning.rounds[-1].lack():
        print(f"not reached: {lack}", file=sys.stderr)
    return 1 if lack else 0


if __name__ == "__main__":
    sys.exit(main())
