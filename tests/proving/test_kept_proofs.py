"""What was proven is known until something changes on which it depends; words prove nothing anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.proving.kept import NOTHING_KEPT, Kept, folder_of
from service.proving.parts import Parts
from service.proving.proofs import Ruling
from service.proving.prove import Wanted, promises_of, prove, unproven
from tests.core.policies import POLICY, changed, write_policy
from tests.project.tree import ROOT

PROMISES = """\
invariants:
  - {id: helped, says: Helped first., never: "'upsell' in action.intents", while: past.open_tickets > 0}
  - {id: mailed, says: Mailed by permission., never: contact without permission, except: {ids: [legal-notice]}}
  - {id: often, says: Not often., at_most: 1, of: {kinds: [offer]}, within: 7d}
  - {id: rests, says: A no is a no., rests: {kinds: [offer]}, after: [refused], for: 30d}
"""
RULES = ("helped", "mailed")


def digests(folder: Path, **changes: str | None) -> dict[str, str]:
    """Return what the promises of the strategy depend on, by their ids."""
    strategy = load_strategy(write_policy(folder, **{"invariants": PROMISES, **changes}))
    parts = Parts(strategy)
    return {one.written.id: parts.digest(one) for one in promises_of(strategy)} | {"odd": parts.digest(None)}


def moved(folder: Path, **changes: str | None) -> set[str]:
    """Return the promises that are to be proven anew after a change."""
    before, after = digests(folder / "before"), digests(folder / "after", **changes)
    return {name for name, digest in before.items() if after[name] != digest}


WORDS = {
    "says of a rule": ("guardrails", changed("guardrails", "is helped, not sold to.", "is helped, and never sold to.")),
    "words of an action": ("actions", POLICY["actions"].replace("Our terms have changed.", "There are new terms.")),
    "an owner": ("caps", changed("caps", "owner: Marketing", "owner: Sales")),
    "a comment": ("weights", "# read this\n" + POLICY["weights"]),
    "a sentence of a promise": ("invariants", PROMISES.replace("Helped first.", "Help comes first.")),
}  # fmt: skip


@pytest.mark.parametrize("what", WORDS)
def test_a_change_of_words_proves_nothing_anew(what: str, tmp_path: Path) -> None:
    """Nothing that is proven depends on what something is called or how it is said."""
    section, text = WORDS[what]
    assert moved(tmp_path, **{section: text}) == set()


def test_a_change_proves_anew_what_depends_on_it(tmp_path: Path) -> None:
    """A cool-off matters to rests, a cap to how often, a rule to what is said where it holds, and no more."""
    rest = changed("cool_offs", "for: [30d, 90d]", "for: [60d, 90d]")
    assert moved(tmp_path / "rest", cool_offs=rest) == {"rests", "odd"}
    cap = POLICY["caps"].replace("at_most: 2", "at_most: 5", 1)
    assert moved(tmp_path / "cap", caps=cap) == {"often", "odd"}
    promise = PROMISES.replace("past.open_tickets > 0", "past.open_tickets > 1")
    assert moved(tmp_path / "promise", invariants=promise) == {"helped"}
    rule = POLICY["guardrails"].replace("past.open_tickets > 0", "past.open_tickets > 1", 1)
    assert {*RULES, "standard.unknown-never-permits", "odd"} <= moved(tmp_path / "rule", guardrails=rule)


def test_what_was_proven_is_not_asked_again(tmp_path: Path) -> None:
    """The second time all that was proven is known; that a promise is broken is found again."""
    kept, wanted = Kept(tmp_path / "proofs"), Wanted(only=("helped", "rests", "often"), findings=False)
    strategy = load_strategy(write_policy(tmp_path / "s", invariants=PROMISES))
    assert unproven(strategy, kept)
    first = prove(strategy, wanted, kept)
    assert [one.ruling for one in first.proofs] == [Ruling.PROVEN, Ruling.BROKEN, Ruling.PROVEN]
    assert first.kept == 0
    assert prove(strategy, wanted, kept).kept == 2
    assert prove(strategy, wanted, NOTHING_KEPT).kept == 0


def test_where_nothing_can_be_kept_all_is_proven_anew(tmp_path: Path) -> None:
    """A folder that cannot be written, or none, is no reason to fail."""
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file" / "proofs")
    kept.keep("0" * 64)
    assert not kept.proven("0" * 64)
    assert kept.findings("0" * 64) is None
    assert folder_of({"TACT_PROOFS": ""}) is None
    assert folder_of({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/tact/proofs")


def test_what_is_known_needs_no_solver(tmp_path: Path) -> None:
    """Who only looks whether all is proven, as a service does, never imports the solver."""
    words = (
        "import sys\nfrom pathlib import Path\nfrom service.core.loader import load_strategy\n"
        "import service.proven\nfrom service.proving.kept import Kept\nfrom service.proving.prove import unproven\n"
        "print(unproven(load_strategy(Path(sys.argv[1])), Kept(None)), 'z3' in sys.modules)"
    )
    folder = write_policy(tmp_path, invariants=PROMISES)
    ran = subprocess.run([sys.executable, "-c", words, folder], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]
