"""What was proven is known until something changes on which it depends; words prove nothing anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.proving.kept import LOCK, MOST, NOTHING_KEPT, Kept, folder_of
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


SECOND = """\
  - id: some-phone
    kind: message
    says: One.
    group: phones
    value: 0
    propensity: 0.5
    treatments:
      - {channel: web, placements: [hero], text: One.}
  - id: other-phone
    kind: message
    says: Another one.
    group: GROUP
    value: VALUE
    propensity: 0.5
    treatments:
      - {channel: web, placements: [hero], text: Another one.}
"""
GROUPED = """\
  - {id: grouped, says: Of a group., at_most: 1, of: {groups: [phones]}, within: 7d}
  - {id: rested, says: Of a group., rests: {groups: [phones]}, after: [refused], for: 30d}
  - {id: unasked, says: But a group., never: contact without permission, except: {groups: [phones]}}
  - {id: owed, says: Not of a large debt., never: action.kind == 'offer', while: past.debt > 100.0}
  - {id: ends, says: All ends., always: suppressions end}
"""
OWED = """\
  - {id: past.debt, says: Debt., type: double, purpose: service, fold: {kind: last, event: debt.told, attribute: owed}}
"""
TOLD = """\
  - id: debt.told
    says: What they owe.
    attributes: {owed: {type: double, low: LOW, high: HIGH}}
"""


def edited(folder: Path, group: str = "own", value: str = "0", low: str = "-1", high: str = "100") -> Path:
    """Write the strategy with one more action and one more fact, of which something was edited."""
    return write_policy(
        folder,
        invariants=PROMISES + GROUPED,
        actions=POLICY["actions"] + SECOND.replace("GROUP", group).replace("VALUE", value),
        events=POLICY["events"] + TOLD.replace("LOW", low).replace("HIGH", high),
        fields=POLICY["fields"] + OWED,
        guardrails=POLICY["guardrails"].replace("past.open_tickets > 0", "past.open_tickets > 0 || past.debt < 0.0", 1),
    )


EDITS: dict[str, tuple[dict[str, str], set[str]]] = {
    "an action moves into a group": ({"group": "phones"}, {"grouped", "rested", "unasked", "often", "rests", "odd"}),
    "an event's upper bound": ({"high": "1000"}, {"owed", "ends", "helped", "odd"}),
    "an event's lower bound": ({"low": "0"}, {"owed", "ends", "helped", "odd"}),
    "what an action is worth": ({"value": "1000"}, {"odd"}),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_elsewhere_proves_anew_what_hangs_on_it(what: str, tmp_path: Path) -> None:
    """What a selector selects, what a group is counted for, and what an event may say are part of a promise."""
    edit, anew = EDITS[what]
    found = []
    for folder, changes in ((tmp_path / "before", {}), (tmp_path / "after", edit)):
        strategy = load_strategy(edited(folder, **changes))
        parts = Parts(strategy)
        digests = {one.written.id: parts.digest(one) for one in promises_of(strategy)} | {"odd": parts.digest(None)}
        assert len(set(digests.values())) == len(digests)  # no two promises stand for each other
        found.append(digests)
    moved = {name for name in found[0] if found[0][name] != found[1][name]}
    assert anew <= moved
    if what == "what an action is worth":
        assert moved == anew


def test_rules_that_change_names_are_other_rules_for_a_promise_that_names_them(tmp_path: Path) -> None:
    """A promise excuses rules by their ids, so it is proven anew where the ids change places."""
    promise = PROMISES + "  - {id: ends, says: All ends., always: suppressions end, except: [a-rule]}\n"
    rules = """\
  - {id: a-rule, says: A., forbid: {kinds: [offer]}, when: past.purchases_7d > 3}
  - {id: b-rule, says: B., forbid: {kinds: [offer]}, when: past.open_tickets > 3}
"""
    swapped = rules.replace("a-rule", "c-rule").replace("b-rule", "a-rule").replace("c-rule", "b-rule")
    before = digests(tmp_path / "1", invariants=promise, guardrails=POLICY["guardrails"] + rules)
    after = digests(tmp_path / "2", invariants=promise, guardrails=POLICY["guardrails"] + swapped)
    assert before["ends"] != after["ends"]


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


def test_the_proofs_that_were_used_last_are_kept(tmp_path: Path) -> None:
    """However many strategies are proven, only so many files are kept; what is used stays, and so does the lock."""
    names = [f"{number:064d}" for number in range(MOST + 5)]
    (tmp_path / LOCK).write_text("")
    for age, name in enumerate(names[:MOST]):
        (tmp_path / f"{name}.proven").write_bytes(b"")
        os.utime(tmp_path / f"{name}.proven", ns=(age, age))
    os.utime(tmp_path / LOCK, ns=(0, 0))
    kept = Kept(tmp_path)
    assert kept.proven(names[0])
    for name in names[MOST:]:
        kept.keep(name)
    files = set(os.listdir(tmp_path))
    assert len(files) == MOST + 1
    assert LOCK in files
    assert {name for name in names if kept.proven(name)} == {names[0], *names[6:]}


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
