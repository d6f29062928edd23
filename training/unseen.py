"""Which decisions of a log a model has not learned from: no model is judged on what it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.artifacts import ArtifactRefused, Manifest


def seen_until(manifests: Sequence[Manifest]) -> tuple[str, float]:
    """Return the moment of the last decision that any of some models learned from, as it is written and in ms.

    Raises `ArtifactRefused` where a manifest says no moment.
    """
    since = max((manifest.rows.last for manifest in manifests), key=_ms)
    return since, _ms(since)


def _ms(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp() * 1000
    except ValueError:
        raise ArtifactRefused(f"its manifest says no moment: {moment[:40]!r}") from None
