"""The suite is worth its name: each fault that is put into the sources turns the tests red that are named beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.copies import ROOT, Copy, Run
from tests.faults.faults import FAULTS, Fault


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Return a copy of the tree, in which the tests of all faults are green as long as there is none."""
    with Copy.made(tmp_path_factory.mktemp("copy")) as made:
        assert made.imported().is_relative_to(made.folder), "the tests of the copy test the copy"
        found = made.run(sorted({test for fault in FAULTS for test in fault.tests}))
        assert found.code == 0, found.printed
        yield made


def test_there_are_enough_faults_and_each_is_another() -> None:
    """At least fifteen, in at least ten files, each with a name and tests of its own."""
    assert len(FAULTS) >= 15
    assert len({fault.file for fault in FAULTS}) >= 10
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1
    assert all(fault.tests for fault in FAULTS)


@pytest.mark.parametrize(
    ("code", "line", "failed"),
    [
        (1, "AssertionError: assert 3 == 1", True),
        (1, "assert 3 == 1", True),
        (1, "Failed: DID NOT RAISE", True),
        (1, "ValueError: no such counter", False),
        (1, "TimeoutError", False),
        (2, "AssertionError: assert 3 == 1", False),
        (0, "", False),
    ],
)
def test_only_a_claim_that_is_found_untrue_counts(code: int, line: str, failed: bool) -> None:
    """A test that crashes, or a run that breaks off, has not noticed a fault."""
    assert (
        Run(code, f"F\n/tests/test_a.py:7: {line}\nFAILED tests/test_a.py::test_a\n1 failed in 0.1s\n").failed is failed
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_list_is_true_of_the_sources(fault: Fault) -> None:
    """What a fault replaces stands exactly once in its file, so that the list cannot rot."""
    assert (ROOT / fault.file).read_text().count(fault.right) == 1
    assert fault.wrong != fault.right


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_turns_the_suite_red(fault: Fault, copy: Copy) -> None:
    """With this one fault, a test fails that passes without it."""
    with copy.broken(fault):
        found = copy.run(fault.tests)
    assert found.failed, f"nobody noticed: {found.printed}"
