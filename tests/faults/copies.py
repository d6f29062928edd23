"""A copy of the sources and the tests, in which faults are put and taken out again, and tests run.

What others wrote is loaded once; each run is a child of the process that has it, and loads the copy's sources itself.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO, cast

from tests.faults.faults import Fault

ROOT = Path(__file__).parents[2]
COPIED = ("service", "models", "protos", "training", "benchmarks", "strategies", "tests", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "*.pyc", "faults")
PYTEST = ("-x", "-q", "--tb=line", "--store", "embedded", "--hypothesis-seed=1")
PLUGINS = ("at_once", "no:cacheprovider", "no:xdist", "no:valkey")
AT_ONCE = """
from hypothesis import Phase, settings
settings.register_profile("at once", phases=[Phase.explicit, Phase.generate], database=None, report_multiple_bugs=False)
settings.load_profile("at once")
"""
"""A plugin: a failure is enough, and no simpler one is looked for, which takes minutes."""
NURSERY = """
import os, sys
import google.protobuf.json_format, google.rpc.error_details_pb2, grpc, grpc.aio, grpc_status.rpc_status
import msgspec, numpy, psutil, pytest, redis.asyncio, uvloop, yaml
import grpc_health.v1.health_pb2, grpc_reflection.v1alpha.reflection
for line in sys.stdin:
    printed, *arguments = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number in (1, 2):
            os.dup2(out, number)
        code = pytest.main(arguments)
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs pytest in a child for each line: the file for what it prints, and its arguments, apart by tabs."""
REASON = re.compile(r"^/\S+:\d+: (.*)", re.MULTILINE)
"""The line of a failure, after the place: the exception's type unless it is a plain `assert`, and what it says."""
UNTRUE = ("AssertionError", "assert ", "Failed: ")
LONGEST_S = 120
EXAMPLES = "40"


@dataclass(frozen=True, slots=True)
class Run:
    """How tests ended: pytest's exit code, and what it printed."""

    code: int
    printed: str

    @property
    def failed(self) -> bool:
        """Tell whether a test found what it claims to be untrue, and nothing else went wrong: no crash, no error."""
        reasons = REASON.findall(self.printed)
        found_untrue = bool(reasons) and all(reason.startswith(UNTRUE) for reason in reasons)
        return self.code == 1 and found_untrue and not re.search(r"\d+ errors?\b", self.printed)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the tree in a folder of its own, and the process whose children run its tests."""

    folder: Path
    nursery: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> Iterator[Copy]:
        """Copy what tests need; what changes there changes nothing here."""
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
            else:
                shutil.copy2(ROOT / name, folder / name)
        (folder / "at_once.py").write_text(AT_ONCE)
        nursery = subprocess.Popen(
            [sys.executable, "-c", NURSERY], cwd=folder, env=_environment(folder), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        with nursery:
            yield cls(folder, nursery)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """Put a fault in, and take it out again."""
        path = self.folder / fault.file
        before, times = path.read_text(), path.stat()
        path.write_text(before.replace(fault.right, fault.wrong))
        try:
            yield
        finally:
            path.write_text(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self, tests: Iterable[str]) -> Run:
        """Run tests of the copy, on the copy."""
        asked, told = cast(IO[str], self.nursery.stdin), cast(IO[str], self.nursery.stdout)
        printed = self.folder / "printed.txt"
        plugins = [word for name in PLUGINS for word in ("-p", name)]
        asked.write("\t".join([str(printed), *PYTEST, *plugins, *tests]) + "\n")
        asked.flush()
        late = Timer(LONGEST_S, os.killpg, (self.nursery.pid, signal.SIGKILL))
        late.start()
        try:
            code = told.readline()
        finally:
            late.cancel()
        assert code, f"it ended, or took longer than {LONGEST_S} s: {printed.read_text()}"
        return Run(int(code), printed.read_text())

    def imported(self) -> Path:
        """Return where the service comes from that its tests test."""
        command = [sys.executable, "-c", "import service; print(service.__file__)"]
        return Path(subprocess.check_output(command, cwd=self.folder, env=_environment(self.folder), text=True).strip())


def _environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(folder), str(folder / "protos")])
    return {**os.environ, "PYTHONPATH": paths, "TACT_DECISIONS": EXAMPLES, "TACT_CHECK_READINGS": "200"}
