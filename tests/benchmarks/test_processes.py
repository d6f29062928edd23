"""A program that a benchmark starts ends with it, whenever somebody ends the benchmark."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.processes import ran, uninterrupted

ROOT = Path(__file__).parents[2]
SAYS_WHO_IT_IS = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); print('here', flush=True)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_a_run_while_a_program_starts_waits_until_it_is_known(number: signal.Signals) -> None:
    """In the midst of starting nothing is interrupted; right behind it everything is, as if it had come then."""
    begun: list[str] = []

    def ended(told: int, frame: object) -> None:
        begun.append("ended")
        raise KeyboardInterrupt

    before = signal.signal(number, ended)
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012  what comes behind the signal is the point
            signal.raise_signal(number)
            begun.append("begun")
        assert begun == ["begun", "ended"]
        assert signal.getsignal(number) is ended
    finally:
        signal.signal(number, before)


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Who gives up waiting leaves nothing running."""
    command = [sys.executable, "-c", f"{SAYS_WHO_IT_IS}; import time; time.sleep(60)", str(tmp_path / "pid")]
    with pytest.raises(subprocess.TimeoutExpired):
        ran(command, 2.0)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_what_a_program_printed_is_returned_and_a_bad_end_is_told(tmp_path: Path) -> None:
    """A good end gives the words; another one is an error with its code."""
    assert ran([sys.executable, "-c", SAYS_WHO_IT_IS, str(tmp_path / "pid")], 60.0) == "here\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        ran([sys.executable, "-c", "raise SystemExit(3)"], 60.0)
    assert failed.value.returncode == 3


SWALLOWS = """
import signal, sys
from benchmarks.processes import end_when_asked, ran

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

end_when_asked()
Finalized()
print("goes on", flush=True)
ran([sys.executable, "-c", "import time; time.sleep(60)"], 60.0)
"""


def test_an_end_that_python_forgot_is_kept() -> None:
    """Ctrl-C while an object is finalized raises nothing there; the next wait for a program ends by it."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWS], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == "goes on\n"
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
