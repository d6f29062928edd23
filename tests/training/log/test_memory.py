"""Claims about memory: a log is read within what is stated, however large it is, and what is left out is said.

`TACT_LOG_ROWS` says how many rows the large log has (default 50,000).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.log.world import START, built, row, same, shop
from training.errors import TrainingRefused
from training.log.chunk import code_of
from training.log.memory import memory_of, row_bytes, share_that_fits
from training.strategy import read_strategy

ROWS = int(os.environ.get("TACT_LOG_ROWS", "50000"))
TEXTS, VALUES = 16, 255
STATED = 500_000_000

CHILD = """\
import json, sys
from pathlib import Path
from rich.progress import Progress
from tests.training.log.peak import peak_bytes
from training.log.build import Order, build
from training.strategy import read_strategy
order = Order(read_strategy(Path(sys.argv[1])), Path(sys.argv[2]), memory=int(sys.argv[3]))
built = build(order, Progress(disable=True))
told = {"rows": len(built.decisions), "kept": built.counts.kept, "bytes": built.decisions.x.nbytes}
print(json.dumps(told | {"peak": peak_bytes()}))
"""


def wide(folder: Path) -> Path:
    """Write a strategy whose rows become wide, and a log of it, a row group at a time; return the log."""
    values = ", ".join(f"v{n}" for n in range(VALUES))
    names = [f"present.t{n}" for n in range(TEXTS)]
    fields = "\n".join(
        f"  - {{id: {name}, says: T., type: string, values: [{values}], purpose: service, source: request}}"
        for name in names
    )
    listed = ", ".join(names)
    text = f"fields:\n{fields}\nactions: [{{id: tea}}, {{id: cake}}]\nmodel: {{features: [{listed}]}}\n"
    (folder / "all.yaml").write_text(text)
    writer = None
    dice = np.random.default_rng(0)
    for start in range(0, ROWS, 10_000):
        count = min(10_000, ROWS - start)
        columns = {
            "decision_id": [f"d{start + n}" for n in range(count)],
            "customer_id": [f"c{n}" for n in dice.integers(0, ROWS, count)],
            "at": pa.array(START + dice.integers(0, 10**9, count), pa.timestamp("ms", tz="UTC")),
            "action": pa.array(["nothing", "tea", "cake"]).take(pa.array(dice.integers(0, 3, count))),
            "probability": np.full(count, 1 / 3),
        }
        texts = pa.array([f"v{n}" for n in range(VALUES)])
        columns |= {f"feature.{name}": texts.take(pa.array(dice.integers(0, VALUES, count))) for name in names}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(folder / "log.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return folder / "log.parquet"


def test_a_log_stays_within_the_stated_memory(tmp_path: Path, record_property: pytest.FixtureRequest) -> None:
    """The whole process takes less than it may, on a log whose arrays alone would take several times as much."""
    log = wide(tmp_path)
    columns = len(read_strategy(tmp_path).space.columns)
    assert ROWS * row_bytes(columns, 3) > 3 * STATED
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(log), str(STATED)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    told = json.loads(done.stdout)
    record_property("printed", f"{ROWS:,} rows of {columns:,} columns: {told}")  # type: ignore[operator]  # pytest's type is a function
    assert told["peak"] < STATED
    assert told["rows"] == pytest.approx(told["kept"] * ROWS, rel=0.1)
    assert told["bytes"] > 0.05 * STATED  # it is used, too


def test_a_part_of_the_customers_is_whole(tmp_path: Path) -> None:
    """Where not all fit, whole customers are left out, always the same; a larger share has all of a smaller one."""
    declared = shop(tmp_path)
    rows = [row(number, f"c{number % 997}", at=number % 50) for number in range(4_000)]
    full = built(declared, tmp_path, rows=rows)
    taken = []
    for needed in (3_000, 1_000):
        memory = 300_000_000 + 6 * needed * row_bytes(len(declared.space.columns), 4)
        part = built(declared, tmp_path, rows=rows, memory=memory)
        assert part.counts.kept == pytest.approx(needed / 4_000, abs=0.001)
        customers = set(part.decisions.customer.tolist())
        taken.append(customers)
        chosen = np.isin(full.decisions.customer, list(customers))
        np.testing.assert_array_equal(full.decisions.part(chosen).at_ms, part.decisions.at_ms)
    assert taken[1] < taken[0] < {code_of(f"c{number}") for number in range(997)}
    assert len(taken[1]) / 997 == pytest.approx(0.25, abs=0.05)
    assert same(built(declared, tmp_path, rows=rows, memory=1 << 40), full)


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("500MB", 500_000_000), ("1GiB", 1 << 30)])
def test_sizes_are_read(text: str, size: int) -> None:
    """Memory is written with its unit."""
    assert memory_of(text) == size


@pytest.mark.parametrize("text", ["", "2", "499MB", "0GB", "-1GB", "2gb", "1.5GB", "2 GB", "2TB"])
def test_other_sizes_are_refused(text: str) -> None:
    """What is no size, or too little to work in, is refused with an example."""
    with pytest.raises(ValueError, match="write 500MB or more, as in 2GB"):
        memory_of(text)


def test_a_log_of_which_hardly_anything_fits_is_refused() -> None:
    """A thousandth of a log tells nothing of it: more memory is asked for."""
    assert share_that_fits(1_000, 10, 3, 2 << 30) == 1.0
    with pytest.raises(TrainingRefused, match="give more with --memory"):
        share_that_fits(10**9, 100, 50, 500_000_000)
