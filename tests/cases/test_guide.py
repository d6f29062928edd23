"""What docs/cases.md shows can be copied: it stands beside the demo's cases, and is decided so."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from tests.cli.commands import DEMO, ROOT, typed

GUIDE = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
KEYS = re.findall(r"^\| `(\w+):", GUIDE, re.MULTILINE)


def test_what_the_guide_shows_is_decided_so(tmp_path: Path) -> None:
    """Each example of the guide, put beside the demo's own cases as a file, is read and comes out as it says."""
    copy = Path(shutil.copytree(DEMO, tmp_path / "demo"))
    before = len(typed("check", copy, "--cases").stdout.splitlines())
    for number, block in enumerate(BLOCKS):
        (copy / "cases" / f"shown-{number}.yaml").write_text(block, encoding="utf-8")
    ran = typed("check", copy, "--cases")
    assert ran.returncode == 0, ran.stdout
    assert len(ran.stdout.splitlines()) == before + sum(block.count("\n  - says:") for block in BLOCKS)


def test_the_guide_shows_every_key_of_what_is_wanted() -> None:
    """The table names all that a case can want, and the examples use most of it."""
    assert KEYS == ["gets", "not", "because", "until", "words"]
    assert all(any(f"    {key}: " in block for block in BLOCKS) for key in ("gets", "not", "because", "until"))


def test_the_command_of_the_guide_runs() -> None:
    """The command that the guide begins with succeeds as it is written."""
    (command,) = re.findall(r"^\$ tact (.*)$", GUIDE, re.MULTILINE)
    ran = typed(*(ROOT / word if word.startswith("strategies/") else word for word in shlex.split(command)))
    assert ran.returncode == 0, ran.stdout
