"""Strategies with mistakes as people make them: `wrong_strategies.yaml`, each an edit of a strategy that is read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.project.tree import ROOT

STRATEGIES = ROOT / "strategies"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One edit: in which strategy and file, what is written instead of what, and the promise that it breaks."""

    says: str
    strategy: str
    edit: str
    instead_of: str
    write: str
    breaks: str

    def made_in(self, folder: Path, *, promised: bool = True) -> Path:
        """Write the strategy with the mistake, without its promises where it is to be served all the same."""
        copy = Path(shutil.copytree(STRATEGIES / self.strategy, folder / self.strategy))
        path = copy / self.edit
        text = path.read_text(encoding="utf-8")
        assert text.count(self.instead_of) == 1, f"{self.says}: stands {text.count(self.instead_of)} times"
        path.write_text(text.replace(self.instead_of, self.write), encoding="utf-8")
        if not promised:
            (copy / "invariants.yaml").unlink()
        return copy


def mistakes() -> tuple[Mistake, ...]:
    """Return all of them."""
    text = (Path(__file__).parent / "wrong_strategies.yaml").read_text(encoding="utf-8")
    return tuple(Mistake(**entry) for entry in yaml.safe_load(text))
