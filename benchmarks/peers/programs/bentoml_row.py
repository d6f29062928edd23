"""BentoML's part: `bentoml_row prepare FOLDER`, and the service that `bentoml serve` loads."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bentoml
import joblib
import numpy as np

from benchmarks.peers.programs.fitting import fitted
from benchmarks.peers.programs.messages import write_requests


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Row:
    """Answers from the model whose file the environment variable ROW_MODEL names."""

    def __init__(self) -> None:
        self._model = joblib.load(os.environ["ROW_MODEL"])

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML has no types where it is not installed
    async def predict(self, row: list[float]) -> list[float]:
        """Return the probabilities of one row; on the event loop, which is faster here than in a thread."""
        probabilities: list[float] = self._model.predict_proba(np.asarray(row).reshape(1, -1))[0].tolist()
        return probabilities


def prepare(folder: Path) -> None:
    """Write the model, and requests about each row."""
    write_requests(folder, (json.dumps({"row": row}).encode() for row in fitted(folder)))


if __name__ == "__main__":
    prepare(Path(sys.argv[2]))
