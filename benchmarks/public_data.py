"""See that the files of a public data set are where they are said to be, before anything is done with them."""

from __future__ import annotations

from pathlib import Path

BANK = ("bank-additional-full.csv.gz",)
STARBUCKS = ("transcript.json.gz", "profile.json.gz", "portfolio.json")


def missing(folder: Path, names: tuple[str, ...]) -> str:
    """Return what a folder lacks and which folder to name, in one line; empty where it lacks nothing."""
    lacking = [name for name in names if not (folder / name).is_file()]
    if not lacking:
        return ""
    below = sorted(one.name for one in folder.iterdir() if (one / lacking[0]).is_file()) if folder.is_dir() else []
    hint = f"did you mean {folder / below[0]}?" if below else f"name the folder that holds {', '.join(names)}"
    return f"--data: {folder} holds no {lacking[0]}; {hint}"
