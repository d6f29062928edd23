"""A copy of the sources and the tests, in which faults are put and taken out again, and tests run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.faults import Fault

ROOT = Path(__file__).parents[2]
COPIED = ("service", "models", "protos", "training", "benchmarks", "strategies", "tests", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "*.pyc", "faults")
PYTEST = ("-m", "pytest", "-x", "-q", "--tb=line", "--store", "embedded", "--hypothesis-seed=1")
PLUGINS = ("at_once", "no:cacheprovider", "no:xdist", "no:valkey")
AT_ONCE = """
from hypothesis import Phase, settings
settings.register_profile("at once", phases=[Phase.explicit, Phase.generate], database=None, report_multiple_bugs=False)
settings.load_profile("at once")
"""
"""A plugin: a failure is enough, and no simpler one is looked for, which takes minutes."""
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
    """A copy of the tree in a folder of its own."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Copy:
        """Copy what tests need; what changes there changes nothing here."""
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
            else:
                shutil.copy2(ROOT / name, folder / name)
        (folder / "at_once.py").write_text(AT_ONCE)
        return cls(folder)

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
        plugins = [word for name in PLUGINS for word in ("-p", name)]
        return self._python(*PYTEST, *plugins, *tests)

    def imported(self) -> Path:
        """Return where the service comes from that its tests test."""
        return Path(self._python("-c", "import service; print(service.__file__)").printed.strip())

    def _python(self, *arguments: str) -> Run:
        paths = os.pathsep.join([str(self.folder), str(self.folder / "protos")])
        environment = {**os.environ, "PYTHONPATH": paths, "TACT_DECISIONS": EXAMPLES, "TACT_CHECK_READINGS": "200"}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
        return Run(done.returncode, done.stdout)
