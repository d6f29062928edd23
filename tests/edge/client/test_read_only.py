"""The service runs where nothing can be written but its own folder and the one for temporary files, as in its image."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.store.embedded import free_port
from tact.client import Client, Retry, event, question
from tests.conftest import absent
from tests.edge.client.world import ROOT
from tests.strategies import write_strategy

READ_ONLY = """
set -e
mount --bind "$1" "$1"
for place in $(awk '$4 ~ /(^|,)rw(,|$)/ {print $2}' /proc/self/mounts); do
    case "$place" in "$1"|/proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac
done
if touch "$2/written" 2>/dev/null; then echo "the root can be written to" >&2; exit 77; fi
shift 2
exec "$@"
"""


@contextmanager
def read_only(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that can write nowhere but below a folder, until the end."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("only root may make a file system read-only for one program")
    if subprocess.run((unshare, "--mount", "true"), capture_output=True).returncode:
        pytest.skip("this machine lets nobody make mounts of their own")
    (folder / "tmp").mkdir()
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("TACT_")},
        "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")]),
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        program = subprocess.Popen(
            (unshare, "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh",
             str(folder), str(folder.parent), *command),
            env=environment, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield program
    finally:
        program.kill()
        program.wait()


def test_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    """It starts, stores, decides and ends well, says of no place that it is read-only, and leaves its store alone."""
    if sys.platform != "linux":
        absent("Only Linux has mounts of one's own.")
    own, port = tmp_path / "own", free_port()
    own.mkdir()
    strategy = write_strategy(tmp_path / "strategy")
    where = ("--strategy", str(strategy), "--store", f"embedded:{own / 'store'}", "--port", str(port))
    serve = (sys.executable, "-m", "service.cli", "serve", "--scheduling", "normal", "--store-wait", "5", *where)
    with (
        read_only(own, *serve) as service,
        Client(f"127.0.0.1:{port}", timeout_s=20.0, retry=Retry(attempts=1)) as tact,
    ):
        decided = tact.decide(question("ada", "web", ["greeting"]))
        assert decided.decision_id  # so the store has it
        tact.record_events([event("ada", "purchase", {"amount": 1.0, "product": "phone"})])
        service.send_signal(signal.SIGTERM)
        assert service.wait(15) == 0, (own / "log").read_text()
    assert "read-only" not in (own / "log").read_text().lower()
    assert not any((own / "tmp").iterdir())
    assert {path.name for path in own.iterdir()} <= {"log", "tmp", "store", ".cache"}
    assert not (tmp_path / "written").exists()
