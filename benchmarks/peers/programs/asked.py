"""What all peers are asked about: customers as rows of numbers, the same ones as we decide about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

COLUMNS = 50
"""How many columns of a row a server is asked about; in process, everybody sees all of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows of shape (customers, columns) as our models see them, the names of the columns and of the actions."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    actions: tuple[str, ...]

    @property
    def short(self) -> list[list[float]]:
        """The first columns of each row, for those who are asked about so many."""
        return [list(row[:COLUMNS]) for row in self.rows]

    def write(self, folder: Path) -> None:
        """Keep it in a folder."""
        (folder / "asked.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Asked:
        """Read what is kept in a folder."""
        said = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
        return cls(tuple(said["columns"]), tuple(map(tuple, said["rows"])), tuple(said["actions"]))


def want(folder: Path, answers: list[list[float]]) -> None:
    """Keep what the right answer about each row is."""
    (folder / "wanted.json").write_text(json.dumps(answers), encoding="utf-8")
