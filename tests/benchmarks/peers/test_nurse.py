"""A peer of several processes is there when it is healthy, and gone with whoever started it, however that ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.peers.nurse import descendants
from benchmarks.peers.servers import nursed
from benchmarks.processes import DidNotStart
from service.store.embedded import free_port

PEER = """
import http.server, subprocess, sys, time
for _ in range(2):  # workers in sessions of their own, which no signal to their parent reaches
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
class Health(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Health.asked += 1
        self.send_response(200 if Health.asked > 2 else 503)
        self.end_headers()
    def log_message(self, *words): print("asked", file=sys.stderr, flush=True)
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""
OWNER = """
import sys, time
from pathlib import Path
from benchmarks.peers.servers import nursed
folder, port, health, peer = sys.argv[1:]
with nursed(Path(folder), int(port), health, Path(sys.executable), "-c", peer, port) as one:
    print(one.pid, flush=True)
    time.sleep(600)
"""


def alive(pids: list[int]) -> list[int]:
    """Return those that run; one that is dead and not yet buried does not."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def gone(pids: list[int], within_s: float = 10.0) -> bool:
    """Tell whether none of them runs any more."""
    ends = time.monotonic() + within_s
    while alive(pids) and time.monotonic() < ends:
        time.sleep(0.02)
    return not alive(pids)


def test_it_serves_when_it_is_healthy_and_leaves_nobody(tmp_path: Path) -> None:
    """It counts as there with the first 200, on the server's core with all its workers, and ends with all of them."""
    port = free_port()
    with nursed(tmp_path, port, f"http://127.0.0.1:{port}/", Path(sys.executable), "-c", PEER, port) as server:
        family = list(descendants(server.pid))
        assert server.target == f"127.0.0.1:{port}"
        assert len(family) == 3
        assert {tuple(psutil.Process(pid).cpu_affinity() or ()) for pid in family} == {(0,)}
        assert psutil.Process(family[0]).cwd() == str(tmp_path)
        assert (tmp_path / "server.log").read_text().count("asked") == 3  # twice it was not healthy yet
    assert gone([server.pid, *family])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_its_owner_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    """A benchmark that is killed in the middle of a run leaves neither the peer nor one of its workers behind."""
    port = free_port()
    words = [sys.executable, "-c", OWNER, str(tmp_path), str(port), f"http://127.0.0.1:{port}/", PEER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        nurse = int(owner.stdout.readline())
        family = [nurse, *descendants(nurse)]
        assert len(alive(family)) == 4
        os.kill(owner.pid, number)
    assert gone(family)


def test_one_that_ends_before_it_is_healthy_says_why(tmp_path: Path) -> None:
    """The failure holds the end of what it wrote, and is told at once."""
    port, dies = free_port(), "import sys; sys.exit('no such model')"
    with (
        pytest.raises(DidNotStart, match="no such model"),
        nursed(tmp_path, port, f"http://127.0.0.1:{port}/", Path(sys.executable), "-c", dies),
    ):
        pass


def test_one_that_ends_by_itself_leaves_no_worker(tmp_path: Path) -> None:
    """A worker that outlives its parent is adopted, and ended."""
    port, dies = free_port(), (
        "import subprocess, sys; from pathlib import Path;"
        "worker = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
        "Path('worker').write_text(str(worker.pid)); sys.exit('out of memory')"
    )  # fmt: skip
    with (
        pytest.raises(DidNotStart, match="out of memory"),
        nursed(tmp_path, port, f"http://127.0.0.1:{port}/", Path(sys.executable), "-c", dies),
    ):
        pass
    assert gone([int((tmp_path / "worker").read_text())])
