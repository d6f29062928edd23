"""A folder without the public files ends a benchmark with 2 and one line, before anything is done."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import bank, bank_stream, starbucks, starbucks_learning
from benchmarks.public_data import BANK, STARBUCKS

MAINS = [
    pytest.param(bank.main, BANK, id="bank"),
    pytest.param(bank_stream.main, BANK, id="bank_stream"),
    pytest.param(starbucks.main, STARBUCKS, id="starbucks"),
    pytest.param(starbucks_learning.main, STARBUCKS, id="starbucks_learning"),
]


@pytest.mark.parametrize(("main", "names"), MAINS)
def test_a_wrong_folder_is_said_in_one_line(
    main: Callable[[], int],
    names: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names what is lacking, and the folder below that has it where there is one."""
    monkeypatch.setattr(sys, "argv", ["benchmark", "--data", str(tmp_path)])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path} holds no {names[0]}" in line
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / names[0]).touch()
    assert main() == 2
    assert f"did you mean {tmp_path / 'there'}?" in capsys.readouterr().err
