"""The peers that serve: how each is prepared and started, and what proves its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.nurse import descendants
from benchmarks.peers.programs.messages import read_samples
from benchmarks.peers.workers import ONE_THREAD, ROOT
from benchmarks.processes import Pinned, pin
from benchmarks.stage import CLIENT_CORE, SERVER_CORE, port_said
from service.store.embedded import EmbeddedStore, free_port

NURSE = Path(__file__).with_name("nurse.py")
PROGRAMS = "benchmarks.peers.programs"
PREPARES_WITHIN_S = 120.0
STARTS_WITHIN_S = 180.0  # on a busy core, importing alone takes some of them half a minute
CLOSE = 1e-6
"""How much an answer may differ from the right one: numbers become text and back on the way."""

Answers = Iterable[tuple[int, list[float]]]


class NotPrepared(Exception):
    """A peer could not be set up: the message says what it said."""


class WrongAnswer(Exception):
    """A peer answered something else than is right, so its speed says nothing."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A peer that serves: where, the method or path, and how it is proved. `folder` has requests and right answers."""

    server: Pinned
    method: str
    folder: Path
    decode: Callable[[Path], Answers]
    grpc: bool = False

    @property
    def requests(self) -> Path:
        """The file of requests."""
        return self.folder / "requests.bin"

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes that it consists of now."""
        return tuple(descendants(self.server.pid))

    def prove(self, samples: Path) -> int:
        """Compare sampled answers with the right ones and return how many; raise `WrongAnswer`."""
        wanted, answers = json.loads((self.folder / "wanted.json").read_text("utf-8")), list(self.decode(samples))
        for index, answer in answers:
            if not _alike(answer, wanted[index]):
                raise WrongAnswer(f"answered {answer[:4]} to request {index}, where {wanted[index][:4]} is right")
        if not answers:
            raise WrongAnswer("no answer was sampled")
        return len(answers)


def _alike(answer: list[float], wanted: list[float]) -> bool:
    return len(answer) == len(wanted) and all(abs(a - w) <= CLOSE for a, w in zip(answer, wanted, strict=True))


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that serves: its name (of its lock, too), its protocol, and how to start it in a folder of its own."""

    name: str
    protocol: str
    asked: str
    serve: Callable[[Path, Path], AbstractContextManager[Serving]]
    """With its Python and a folder in which `asked.json` lies: a context that gives `Serving`."""


@contextmanager
def mlserver(python: Path, folder: Path) -> Iterator[Serving]:
    """Serve one scikit-learn row over gRPC, by the V2 inference protocol."""
    ports = [free_port() for _ in range(3)]
    program = f"{PROGRAMS}.mlserver_row"
    prepare(python, program, folder, *map(str, ports))

    def decode(samples: Path) -> Answers:
        said = json.loads(run(python, folder, "-m", program, "decode", str(samples)))
        return [(index, answer) for index, answer in said]

    health = f"http://127.0.0.1:{ports[0]}/v2/health/ready"
    with nursed(folder, ports[1], health, python.with_name("mlserver"), "start", folder) as server:
        yield Serving(server, "/inference.GRPCInferenceService/ModelInfer", folder, decode, grpc=True)


@contextmanager
def feast(python: Path, folder: Path) -> Iterator[Serving]:
    """Serve 50 features of one customer over HTTP, from a Redis of its own beside the client."""
    store = EmbeddedStore(folder / "redis")
    with store as url:
        pin(store.processes[1], CLIENT_CORE)
        redis = url.removeprefix("redis://").partition("/")[0]
        prepare(python, f"{PROGRAMS}.feast_features", folder, redis)
        port = free_port()
        words = ("-c", folder, "serve", "-h", "127.0.0.1", "-p", port, "--workers", 1)
        # Left alone, it would write a line for each call, and start anew after a thousand of them.
        sparing = ("--no-access-log", "--max-requests", 0)
        health = f"http://127.0.0.1:{port}/health"
        with nursed(folder, port, health, python.with_name("feast"), *words, *sparing) as server:
            yield Serving(server, "/get-online-features", folder, features)


def features(samples: Path) -> Answers:
    """Give the features in the order of their names; Feast answers in another one each time."""
    for index, body in read_samples(samples):
        said = json.loads(body)
        found = zip(said["metadata"]["feature_names"], said["results"], strict=True)
        values = {name: result["values"][0] for name, result in found if result["statuses"] == ["PRESENT"]}
        yield index, [float(values[name]) for name in sorted(values) if name != "customer"]


@contextmanager
def bentoml(python: Path, folder: Path) -> Iterator[Serving]:
    """Serve one scikit-learn row over HTTP, with the metrics that it keeps by itself."""
    program, port = f"{PROGRAMS}.bentoml_row", free_port()
    prepare(python, program, folder)
    words = ("serve", f"{program}:Row", "--host", "127.0.0.1", "--port", port)
    health = f"http://127.0.0.1:{port}/readyz"
    with nursed(folder, port, health, python.with_name("bentoml"), *words) as server:
        yield Serving(server, "/predict", folder, probabilities)


def probabilities(samples: Path) -> Answers:
    """Give the numbers of replies that are lists of them."""
    return ((index, json.loads(body)) for index, body in read_samples(samples))


PEERS = (
    Peer("mlserver", "gRPC", "the probability of one row of 50 numbers, scikit-learn", mlserver),
    Peer("feast", "HTTP", "50 features of one customer, Redis", feast),
    Peer("bentoml", "HTTP", "the probability of one row of 50 numbers, scikit-learn", bentoml),
)


def nursed(folder: Path, port: int, health: str, program: Path, *words: object) -> Pinned:
    """Return a server of several processes on the server's core, which is there once its health says so."""
    named = ("env", *(f"{name}={value}" for name, value in _surroundings(folder).items()), program, *words)
    command = [sys.executable, "-I", "-S", NURSE, port, health, folder, *named]
    return Pinned([str(word) for word in command], SERVER_CORE, folder / "server.log", port_said, STARTS_WITHIN_S)


def prepare(python: Path, program: str, folder: Path, *words: str) -> None:
    """Let a peer write what it needs and what it is asked; raise `NotPrepared`."""
    run(python, folder, "-m", program, "prepare", str(folder), *words)


def run(python: Path, folder: Path, *words: str) -> str:
    """Run a peer's Python and return what it prints; raise `NotPrepared`."""
    try:
        ran = subprocess.run(
            [str(python), *words], capture_output=True, text=True, check=False, timeout=PREPARES_WITHIN_S, cwd=ROOT,
            env={**os.environ, **_surroundings(folder)},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotPrepared(f"{words[1]} took longer than {PREPARES_WITHIN_S:.0f} s") from None
    if ran.returncode:
        raise NotPrepared(f"{words[1]} ended with {ran.returncode}: {' '.join(ran.stderr.split())[-400:]}")
    return ran.stdout


def _surroundings(folder: Path) -> dict[str, str]:
    """Return what a peer finds in its environment: a home that is gone after the run, and nobody to tell of it."""
    return {
        **ONE_THREAD,
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "ROW_MODEL": str(folder / "model.joblib"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
