"""Challenging: a model that is scored beside the one that decides, loaded and verified like it and never in its way.

Whatever is wrong with a challenger, the version serves without it, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from models.artifacts import ArtifactRefused, load_served
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from service.core.arbitrate import Arbiter
from service.core.archived import Part, model_part
from service.core.strategy import Strategy

log = logging.getLogger(__name__)

Work = Callable[[Callable[[], Folded]], Awaitable[Folded]]


class Challenging:
    """Loads the challenger in a folder; one that was verified before is not verified again.

    `verify(folder, model)` raises `ArtifactRefused` in words where a model may not serve. `part` is what the latest was
    made of, as it is archived.
    """

    def __init__(self, folder: Path | None, verify: Callable[[Path, Folded], Awaitable[None]]) -> None:
        self.folder = folder
        self.refused = ""
        self.part: Part | None = None
        self._verify = verify
        self._verified: Folded | None = None

    async def challenger(self, strategy: Strategy, model: Folded | None, work: Work) -> Folded | None:
        """Return the challenger that the folder holds, or None, with the reason in `refused`.

        It is no challenger of itself: where it is the `model` that decides, there is none.
        """
        folder, self.refused = self.folder, ""
        if folder is None:
            return None
        try:
            found = await work(lambda: self._read(folder, strategy))
            if model is not None and found.version == model.version:
                self.refused = f"{folder}: is the model that decides; a challenger is another one"
                return None
            if self._verified is None or self._verified.version != found.version:
                await self._verify(folder, found)
                self._verified = found
            return self._verified
        except (ArtifactRefused, FeatureRefused) as refused:
            self.refused = str(refused)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a challenger, the version serves without it
            self.refused = f"{folder}: cannot be used ({type(error).__name__})"
        log.warning("the challenger is refused, and decisions go on without it: %s", self.refused)
        return None

    def _read(self, folder: Path, strategy: Strategy) -> Folded:
        served = load_served(folder, FeatureSpace.of(strategy.schema, strategy.features))
        Arbiter(strategy, served.folded)  # what cannot be compiled is refused here, where the version can do without it
        self.part = model_part(served)
        return served.folded
