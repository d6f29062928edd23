"""What is asked wrongly of the training ends with 2 and one line, as it does of `tact`, whose arguments it gets."""

from __future__ import annotations

import pytest

from tests.training.test_command import training
from training.worlds.tastes import STRATEGY

FIT = ("fit", "--strategy", str(STRATEGY))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param((), "name what to learn from: --log, or --events and --decisions", id="no input"),
        pytest.param(
            ("--log", "nowhere", "--features", "nope"), "feature 'nope' is not a declared field", id="features"
        ),
        pytest.param(("--log", "nowhere", "--forests", "many"), "'many' is no number of forests", id="forests"),
        pytest.param(("--log", "nowhere", "--memory", "1"), "write 500MB or more", id="memory"),
        pytest.param(("--log", "nowhere", "--report", "no/page.html"), "there is no folder no", id="report"),
        pytest.param(("--log", "nowhere", "--nope"), "unrecognized arguments: --nope", id="unknown"),
    ],
)
def test_a_bad_argument_costs_one_line(words: tuple[str, ...], said: str) -> None:
    """It begins as all errors do, and says what would be right."""
    done = training(*FIT, *words)
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert (done.code, len(lines), done.out) == (2, 1, "")
    assert lines[0].startswith("tact: ")
    assert said in lines[0]


def test_data_that_are_refused_end_with_1() -> None:
    """Where the command is right and the data are not, the end is another; no bar stands before the error."""
    done = training(*FIT, "--log", "nowhere")
    assert (done.code, done.err) == (1, "tact: nowhere cannot be read (No such file or directory)\n")
