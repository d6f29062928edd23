"""Which versions of libraries an artefact may have been made with, to be opened by those that are here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from models.artifacts import MANIFEST, ArtifactRefused

BOUND = ("scikit-learn", "skops")
"""The libraries that made `model.skops`, which no other minor version is promised to read as it was meant."""


def refuse_other_libraries(libraries: Mapping[str, str]) -> None:
    """Raise `ArtifactRefused` where estimators were made by another minor version of what would open them."""
    for name in BOUND:
        here, made = version(name), libraries.get(name, "")
        if _minor(made) != _minor(here):
            with_what = f"with {name} {made[:40]}" if made else f"with no {name} that {MANIFEST} names"
            raise ArtifactRefused(f"made {with_what}, and {here} is here; train it again, or install what made it")


def _minor(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")[:2])
