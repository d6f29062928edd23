"""The public Starbucks data, read and prepared once for all tests that look at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worlds.recompute import data_folder
from training.worlds import starbucks
from training.worlds.starbucks_files import Data, read

with_data = pytest.mark.skipif(
    not (data_folder() / "transcript.json.gz").exists(),
    reason="The public Starbucks data are not here; TACT_DATA names the folder that holds starbucks/.",
)


@pytest.fixture(scope="session")
def data() -> Data:
    """Return the files as the preparation reads them."""
    return read(data_folder())


@pytest.fixture(scope="session")
def prepared(data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, starbucks.Prepared]:
    """Return the folder of a preparation and its counts."""
    out = tmp_path_factory.mktemp("starbucks")
    return out, starbucks.prepare(data, out, starbucks.WAVES, None)
