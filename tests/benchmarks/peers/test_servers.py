"""Peers that serve are proved by their answers; one that is wrong, silent or absent has no figures, and says why."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench import Plan, Workbench
from benchmarks.loadgen import Measured
from benchmarks.peers import environment
from benchmarks.peers.environment import NotInstalled
from benchmarks.peers.nurse import descendants
from benchmarks.peers.ours import Ours
from benchmarks.peers.programs.asked import Asked
from benchmarks.peers.programs.messages import write_requests
from benchmarks.peers.section import NO_TIME, joined
from benchmarks.peers.served import MEASURES, TIMES, Beside, beside_servers, result
from benchmarks.peers.servers import PEERS, Peer, Serving, WrongAnswer, features, probabilities
from benchmarks.processes import Pinned
from benchmarks.section import SectionResult
from benchmarks.stage import SERVER_CORE, Stage, port_said
from benchmarks.windows import Window
from service.store.embedded import free_port
from tests.benchmarks.peers.test_nurse import gone

PLAN = Plan(rounds=1, seconds=1.0, warmup_s=0.2)
RIGHT = [[0.25, 0.75], [0.5, 0.5]]


def samples(folder: Path, *answers: tuple[int, object]) -> Path:
    """Keep replies as a load generator does."""
    parts = [(index, json.dumps(said).encode()) for index, said in answers]
    file = folder / "samples.bin"
    file.write_bytes(b"".join(struct.pack("<II", index, len(body)) + body for index, body in parts))
    return file


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Return a peer of which right answers are known; it is not started."""
    (tmp_path / "wanted.json").write_text(json.dumps(RIGHT))
    return Serving(Pinned([], 0, tmp_path / "log", lambda _: None), "/", tmp_path, probabilities)


def test_right_answers_are_counted(serving: Serving) -> None:
    """Each is compared with what is right for its own request; the last digits may differ."""
    kept = samples(serving.folder, (1, [0.5, 0.5]), (0, [0.25 + 1e-9, 0.75]), (1, [0.5, 0.5]))
    assert serving.prove(kept) == 3


@pytest.mark.parametrize(
    "answers",
    [[(0, [0.5, 0.5])], [(1, [0.5, 0.5]), (0, [0.26, 0.74])], [(0, [0.25])], []],
    ids=["that of another request", "a wrong one", "half of one", "none at all"],
)
def test_a_peer_that_answers_something_else_has_no_figure(serving: Serving, answers: list[tuple[int, object]]) -> None:
    """One wrong answer among those looked at is enough."""
    with pytest.raises(WrongAnswer):
        serving.prove(samples(serving.folder, *answers))


def test_features_are_read_by_their_names(tmp_path: Path) -> None:
    """Feast answers in any order, with the customer among them; what is not there is left out."""
    said = {
        "metadata": {"feature_names": ["f01", "customer", "f02", "f00"]},
        "results": [
            {"values": [0.1], "statuses": ["PRESENT"]},
            {"values": ["customer-7"], "statuses": ["PRESENT"]},
            {"values": [None], "statuses": ["NOT_FOUND"]},
            {"values": [0.0], "statuses": ["PRESENT"]},
        ],
    }
    assert list(features(samples(tmp_path, (7, said)))) == [(7, [0.0, 0.1])]


def measured(throughput: float) -> Measured:
    """Return what a load generator saw, in which only the throughput matters."""
    times = dict.fromkeys(("p50", "p99", "p99.9"), 1.0)
    sizes = dict.fromkeys(("min", "mean", "max"), 9.0)
    return Measured(9, 9, 9, {}, {}, 0, 1.0, throughput, times, 81, sizes, 0.1, {})


def test_each_peer_has_a_bound_of_its_own() -> None:
    """Times are medians of the rounds; a peer that failed in one round has no figures at all."""
    rates = {
        "floor": (9000.0, 9000.0),
        "decide": (5000.0, 6000.0),
        "mlserver": (1000.0, 1000.0),
        "feast": (1000.0, 500.0),
    }
    windows: dict[str, list[Window | None]] = {
        name: [Window(measured(rate), 100.0, 0.0) for rate in each] for name, each in rates.items()
    }
    versions = {"mlserver": "1.0 on Python 3.12", "feast": "2.0"}
    windows["bentoml"] = [*windows["feast"][:1], None]
    found = result(100, windows, {"bentoml": "wrong"}, {}, versions)
    assert [(bound.measured, bound.at_least, bound.holds) for bound in found.bounds] == [
        (5.5, TIMES["mlserver"], True),
        (8.5, TIMES["feast"], True),
    ]
    assert {figure.subject for figure in found.figures} == {
        "floor", "decide", "mlserver", "feast",
        "decide / mlserver", "decide / feast", "floor / mlserver", "floor / feast",
    }  # fmt: skip
    assert {figure.measure for figure in found.figures} == set(MEASURES)
    assert found.left_out == {"bentoml": "wrong"}
    assert [note.partition(":")[0] for note in found.notes] == ["mlserver 1.0 on Python 3.12", "feast 2.0"]


def test_a_peer_is_asked_no_more_after_its_first_failure(serving: Serving, tmp_path: Path) -> None:
    """It is told once why, and the rounds of the others go on."""
    said: list[str] = []
    write_requests(tmp_path, [b"{}"])
    listens_not = [
        sys.executable,
        "-c",
        f"print('serving on 127.0.0.1:{free_port()}', flush=True); import time; time.sleep(60)",
    ]
    with (
        Workbench(tmp_path, PLAN, said.append) as bench,
        Pinned(listens_not, SERVER_CORE, tmp_path / "log", port_said) as server,
    ):
        beside = Beside(bench, "feast", replace(serving, server=server))
        assert [beside.window(), beside.window()] == [None, None]
    assert beside.failed == "the load generator could not load it"
    assert len(said) == 1


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """Return a folder in which each peer that serves looks installed, and has none of its packages."""
    for peer in PEERS:
        folder = tmp_path / "kept" / "peers" / peer.name
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / environment.STAMP).write_text(environment.origin(peer.name))
    return tmp_path / "kept"


def test_peers_that_do_not_start_are_left_out_in_words(nobody: Path, ours: Ours, tmp_path: Path) -> None:
    """Without any there is nobody to compare with, and so no figure of ours either; each says why."""
    with Workbench(tmp_path, PLAN, lambda _: None) as bench:
        bench.kept = nobody
        found = beside_servers(bench, object.__new__(Stage), ours.asked(), tmp_path / "peers")
    assert not found.figures
    assert set(found.left_out) == {peer.name for peer in PEERS}
    assert all("No module named" in why for why in found.left_out.values())


def test_both_halves_are_told_as_one() -> None:
    """What one half leaves out, and what it measured, stands beside that of the other."""
    one, other = (
        SectionResult(notes=("a",), left_out={"x": "why"}),
        SectionResult(notes=("b",), left_out={"y": NO_TIME}),
    )
    both = joined(one, other)
    assert both.notes == ("a", "b")
    assert both.left_out == {"x": "why", "y": NO_TIME}


@pytest.fixture(params=PEERS, ids=[peer.name for peer in PEERS])
def started(request: pytest.FixtureRequest, ours: Ours, tmp_path: Path) -> Iterator[tuple[Peer, Serving]]:
    """Return a peer that serves, where it is installed."""
    peer: Peer = request.param
    try:
        python = environment.python_of(peer.name)
    except NotInstalled as error:
        pytest.skip(f"{peer.name}: {error}")  # nowhere is it asked for, in no automatic run either
    asked: Asked = ours.asked()
    asked.write(tmp_path)
    with peer.serve(python, tmp_path) as serving:
        family = [serving.server.pid, *descendants(serving.server.pid)]
        yield peer, serving
    assert gone(family)


def test_a_peer_serves_right_answers_here(started: tuple[Peer, Serving], tmp_path: Path) -> None:
    """Where it is installed all calls are answered, and those looked at are right. A wrong one is seen."""
    peer, serving = started
    with Workbench(tmp_path, PLAN, lambda _: None) as bench:
        beside = Beside(bench, peer.name, serving)
        window = beside.window()
        assert window is not None, beside.failed
        assert window.server_cpu_us > 50
        assert beside.proved > 5
        wanted = json.loads((serving.folder / "wanted.json").read_text())
        (serving.folder / "wanted.json").write_text(json.dumps(wanted[::-1]))
        assert beside.window() is None
    assert "is right" in beside.failed
