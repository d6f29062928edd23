"""Decisions beside what peers serve: all on the server's core, in turn, each with as many calls in flight."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks import loadgen
from benchmarks.compare import warmed_up
from benchmarks.evidence import NotDecided, faultless
from benchmarks.loadgen import CannotBuild, Load, Measured
from benchmarks.peers import environment, httpload
from benchmarks.peers.environment import NotInstalled
from benchmarks.peers.programs.asked import Asked
from benchmarks.peers.servers import PEERS, NotPrepared, Peer, Serving, WrongAnswer
from benchmarks.processes import DidNotStart
from benchmarks.section import Bench, Bound, SectionResult
from benchmarks.stage import CLIENT_CORE, Stage
from benchmarks.windows import Decisions, Floor, Window, figures, line, one, ratios, told

IN_FLIGHT = 8
SAMPLE_EVERY = 10
TITLES = {"mlserver": "MLServer", "feast": "Feast", "bentoml": "BentoML"}
TIMES = {"mlserver": 5.0, "feast": 8.0, "bentoml": 8.0}
"""How many times the requests a second of each peer we are to answer."""
MEASURES = ("requests", "p50", "p99", "server CPU", "reply")
SAYS_NOTHING = (
    CannotBuild, DidNotStart, NotDecided, NotInstalled, NotPrepared, WrongAnswer, OSError, subprocess.SubprocessError,
)  # fmt: skip
"""What may go wrong with a peer: it then has no figures, and the report says why."""


@dataclass(slots=True)
class Beside:
    """One peer that serves. After its first failure it is asked no more."""

    bench: Bench
    name: str
    serving: Serving
    failed: str = ""
    proved: int = 0

    def window(self) -> Window | None:
        """Measure one window; None where it has failed."""
        if self.failed:
            return None
        try:
            window = self._measured()
        except SAYS_NOTHING as error:
            self.failed = _why(error)
            self.bench.say(f"{self.name}: {self.failed}")
            return None
        self.bench.say(line(self.name, window))
        return window

    def _measured(self) -> Window:
        serving, samples = self.serving, self.serving.folder / "samples.bin"
        pids = serving.pids
        load = Load(
            serving.server.target, serving.method, serving.requests, in_flight=IN_FLIGHT, seconds=self.bench.seconds,
            warmup_s=self.bench.warmup_s, watched=pids, samples=samples, sample_every=SAMPLE_EVERY,
        )  # fmt: skip
        program = self.bench.program if serving.grpc else httpload.build()
        measured = loadgen.drive(program, load, core=CLIENT_CORE)
        faultless(measured, self.name)
        self.proved += serving.prove(samples)
        return Window(measured, _cpu_us(measured, pids), 0.0)


def _why(error: Exception) -> str:
    ended = isinstance(error, subprocess.CalledProcessError)
    return "the load generator could not load it" if ended else str(error)


def _cpu_us(measured: Measured, pids: tuple[int, ...]) -> float:
    return sum(measured.cpu_us_a_call(pid) for pid in pids)


def beside_servers(bench: Bench, stage: Stage, asked: Asked, folder: Path) -> SectionResult:
    """Measure decisions and every peer that installs and starts here, in turn."""
    with ExitStack() as opened:
        there, left_out = _started(bench, asked, folder, opened)
        if not there:
            return SectionResult(left_out=left_out)
        decisions = Decisions(bench, stage, stage.service)
        warmed_up(decisions, IN_FLIGHT)
        subjects: dict[str, Callable[[], Window | None]] = {one.name: one.window for one in there}
        subjects["decide"] = told(bench, "decide", partial(decisions.window, IN_FLIGHT))
        subjects["floor"] = told(bench, "floor", partial(Floor(decisions).window, IN_FLIGHT))
        windows = bench.interleaved(subjects)
        evidence = decisions.evidence()
    left_out |= {one.name: one.failed for one in there if one.failed}
    proved = {one.name: one.proved for one in there if not one.failed}
    versions = {one.name: environment.told(one.name, one.name, bench.kept / "peers") for one in there}
    details = {"decide": asdict(evidence), "answers proved": proved}
    return result(stage.size.actions, windows, left_out, details, versions)


def _started(bench: Bench, asked: Asked, folder: Path, opened: ExitStack) -> tuple[tuple[Beside, ...], dict[str, str]]:
    there, left_out = [], {}
    for peer in PEERS:
        try:
            there.append(Beside(bench, peer.name, opened.enter_context(_serving(bench, peer, asked, folder))))
            bench.say(
                f"{peer.name} {environment.locked(peer.name, peer.name)} serves {peer.asked}, over {peer.protocol}"
            )
        except SAYS_NOTHING as error:
            left_out[peer.name] = str(error)
            bench.say(f"{peer.name}: {left_out[peer.name]}")
    return tuple(there), left_out


def _serving(bench: Bench, peer: Peer, asked: Asked, folder: Path) -> AbstractContextManager[Serving]:
    python = environment.install(peer.name, bench.say, bench.kept / "peers")
    own = folder / peer.name
    own.mkdir(parents=True)
    asked.write(own)
    return peer.serve(python, own)


def result(
    actions: int,
    windows: Mapping[str, Sequence[Window | None]],
    left_out: dict[str, str],
    details: Mapping[str, object],
    versions: Mapping[str, str],
) -> SectionResult:
    """Return figures and bounds of decisions beside every peer that answered in each round.

    The floor stands beside them too: no decision can be faster than it.
    """
    measured = {name: [w for w in found if w is not None] for name, found in windows.items() if None not in found}
    decide, floor = (
        figures(name, {"actions": actions, "in_flight": IN_FLIGHT}, measured.pop(name), MEASURES)
        for name in ("decide", "floor")
    )
    found, bounds = [*decide, *floor], []
    for name, rounds in measured.items():
        theirs = figures(name, {"in_flight": IN_FLIGHT}, rounds, MEASURES)
        found += [*theirs, *ratios(decide, theirs, ("requests", "server CPU"))]
        found += ratios(floor, theirs, ("requests",))
        times = one(found, f"decide / {name}", "requests").median
        bounds.append(Bound(f"requests a second over those of {TITLES[name]}", times, at_least=TIMES[name]))
    notes = tuple(f"{name} {versions[name]}: {peer.asked}, over {peer.protocol}." for name, peer in _peers(measured))
    return SectionResult(tuple(found), tuple(bounds), notes, left_out, details)


def _peers(measured: Mapping[str, object]) -> list[tuple[str, Peer]]:
    return [(peer.name, peer) for peer in PEERS if peer.name in measured]
