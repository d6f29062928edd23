"""Decisions over a stream, one by one and in batches, beside as many unary calls: what e-mail engines gain."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import loadgen
from benchmarks.evidence import faultless, judged, logged
from benchmarks.section import Bench, Bound, Figure, NotMeasured, SectionResult
from benchmarks.stage import CLIENT_CORE, DECIDE, Stage
from benchmarks.windows import Decisions, Window, figures, one, ratios, told
from tact.v1 import decision_pb2

BUILT = loadgen.BUILT.with_name("stream")
IN_A_BATCH = 50
BATCHES_OPEN = 4
UNARY = 64
SHOWN = ("requests", "p50", "p99", "server CPU", "store CPU", "server core", "client core")
SAMPLE_EVERY = 20
AT_LEAST = 2.5


def built() -> Path:
    """Build the generator of streams unless it is newer than its source; raise `CannotBuild`."""
    if lacking := loadgen.missing():
        raise loadgen.CannotBuild(f"The generator of streams cannot be built: {lacking}.")
    words = ["make", "--silent", "-C", str(loadgen.SOURCE), f"STREAM={BUILT.resolve()}", str(BUILT.resolve())]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode:
        raise loadgen.CannotBuild(f"The generator of streams does not build:\n{made.stderr}")
    return BUILT


def batches_file(stage: Stage, each: int) -> Path:
    """Write the requests of a stage as batches of so many; return the file."""
    file, asked = stage.requests_file.with_name(f"batches-{each}.bin"), stage.requests
    firsts = range(0, len(asked) - each + 1, each)
    written = (decision_pb2.DecideBatchesRequest(requests=asked[at : at + each]) for at in firsts)
    return loadgen.write_messages(file, (batch.SerializeToString() for batch in written))


@dataclass(slots=True)
class Stream:
    """One stream of messages of `each` requests (1: `DecideStream`), of which `room` messages are open at once."""

    bench: Bench
    stage: Stage
    each: int
    room: int
    answered: int = 0
    grown: int = 0
    samples: list[tuple[int, bytes]] = field(default_factory=list)

    def window(self, **load: Any) -> Window:  # noqa: ANN401 - see loadgen.Load
        """Measure one window; rates and CPU times are those of one decision, latencies those of a message."""
        stage, kept = self.stage, self.stage.requests_file.with_name("streamed.bin")
        before = logged(stage.store)
        usual = {"seconds": self.bench.seconds, "warmup_s": self.bench.warmup_s}
        asked = loadgen.Load(
            stage.service.target, f"{DECIDE}{'Stream' if self.each == 1 else 'Batches'}", self._file(),
            in_flight=self.room, watched=(stage.service.pid, stage.store_pid), samples=kept,
            sample_every=max(1, SAMPLE_EVERY // self.each),
            **{**usual, **load},
        )  # fmt: skip
        measured = loadgen.drive(built(), asked, core=CLIENT_CORE)
        faultless(measured, f"a stream of messages of {self.each}")
        self.grown += logged(stage.store) - before
        self.answered += measured.ok_in_all * self.each
        self.samples += _single(self.each, loadgen.read_samples(kept))
        decisions = replace(measured, throughput=measured.throughput * self.each)
        server_us, store_us = (decisions.cpu_us_a_call(pid) for pid in (stage.service.pid, stage.store_pid))
        return Window(decisions, server_us, store_us)

    def check(self) -> None:
        """Raise `NotDecided` unless each answer in its place was a decision about its request, and logged."""
        judged(self.samples, self.stage.requests, self.answered, self.grown)

    def _file(self) -> Path:
        return self.stage.requests_file if self.each == 1 else batches_file(self.stage, self.each)


def _single(each: int, samples: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Take sampled messages of answers apart, each answer with the index of its request."""
    for index, raw in samples:
        if each == 1:
            yield index, raw
            continue
        answers = decision_pb2.DecideBatchesResponse.FromString(raw).answers
        for place, answer in enumerate(answers):
            yield index * each + place, answer.SerializeToString()


class Streaming:
    """Unary calls, a stream of requests, and a stream of batches, in turn against the same service."""

    name = "stream"
    says = "Decisions over a stream beside unary calls"

    def run(self, bench: Bench) -> SectionResult:
        """Measure the three in interleaved rounds, and look at what was answered."""
        if loadgen.missing():
            raise NotMeasured("it needs the load generator in C++ (Debian: libgrpc++-dev)")
        with bench.stage() as stage:
            unary = Decisions(bench, stage, stage.service)
            streams = {
                "stream": Stream(bench, stage, 1, UNARY),
                "batches": Stream(bench, stage, IN_A_BATCH, BATCHES_OPEN),
            }
            measures: dict[str, Callable[[], Window]] = {"unary": partial(unary.window, UNARY)}
            measures |= {name: stream.window for name, stream in streams.items()}
            unary.window(UNARY, seconds=0.4)
            windows = bench.interleaved({name: told(bench, name, measure) for name, measure in measures.items()})
            unary.evidence()
            for stream in streams.values():
                stream.check()
        return _result(windows)


def _result(windows: dict[str, tuple[Window, ...]]) -> SectionResult:
    case = {"in_flight": UNARY}
    unary = figures("unary", case, windows["unary"], SHOWN)
    found: list[Figure] = [*unary]
    for name, said in (("stream", case), ("batches", {"in_a_batch": IN_A_BATCH, "batches_open": BATCHES_OPEN})):
        streamed = figures(name, said, windows[name], SHOWN)
        found += [*streamed, *ratios(streamed, unary, ("requests", "server CPU"))]
    fastest = one(found, "batches / unary", "requests")
    return SectionResult(
        tuple(found),
        (Bound("decisions a second, a stream of batches over unary calls", fastest.median, at_least=AT_LEAST),),
        ("Latencies of a stream are those of a message, of a batch as a whole.",),
    )


SECTION = Streaming()
