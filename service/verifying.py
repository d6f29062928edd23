"""Whether a model may serve: found out in a process of its own, which alone may import scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from models.artifacts import ArtifactRefused
from service.children import Waiting

if TYPE_CHECKING:
    from models.propensity import Folded

VERIFY_WITHIN_S = 120.0


class NotVerified(ArtifactRefused):
    """Whoever verifies a model died or took too long, which says nothing about the model."""


class Verify(Protocol):
    """Verifies a model; raises ArtifactRefused in words where it may not serve."""

    async def __call__(self, folder: Path, folded: Folded) -> None:
        """See that an artefact's arrays say what its estimators say, and are those that were loaded."""
        ...


class Verifier:
    """Has models verified in a process of its own, which alone may import scikit-learn.

    That takes two seconds, so the process stays for the next model where that is to serve within two seconds (`waits`).
    """

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self._child = Waiting("training", ("verify", "--waiting", "--json"))

    async def verify(self, folder: Path, folded: Folded) -> None:
        """See that an artefact's arrays say what its estimators say, and are those that were loaded.

        Raises `NotVerified` where that cannot be told, as the process died or took too long.
        """
        check_same(folder, await self.version_at(folder), folded)

    async def version_at(self, folder: Path) -> str:
        """See that an artefact's arrays say what its estimators say; return its version."""
        found = await self._child.ask(str(folder), VERIFY_WITHIN_S)
        if not self._waits:
            await self._child.close()
        if not found.answered:
            raise NotVerified(
                f"{folder}: the model could not be verified, as the process that verifies did not answer "
                f"({found.last_words}). See that it has memory and time."
            )
        if found.code != 0:
            raise ArtifactRefused(f"The model was not verified and does not serve: {found.last_words}")
        return str(json.loads(found.output)["version"])

    async def close(self) -> None:
        """End the process."""
        await self._child.close()


def check_same(folder: Path, verified: str, folded: Folded) -> None:
    """Raise ArtifactRefused where another version was verified than the one that was loaded."""
    if verified != folded.version:
        raise ArtifactRefused(f"{folder}: changed from {folded.version} to {verified} while it was verified; try again")
