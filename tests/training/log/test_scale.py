"""Claims about scale: a Dask cluster of two processes gives what one process gives, also when it loses one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import dask
import pytest

from tests.training.log.world import OUTCOMES, built, came, event, row, same, shop, write_parquet
from tests.training.test_command import training
from training.errors import InputRefused, TrainingRefused
from training.scale import Here, Workers, workers


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    """Return a local cluster of two workers, which gives a piece of work up when it killed two of them."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), workers("local:2") as many:
        yield many


def log(seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw decisions and events of a few hundred customers."""
    dice = Random(seed)
    rows = [
        row(n, f"c{dice.randrange(200)}", dice.randrange(500), dice.choice(["tea", "cake", "nothing"]))
        for n in range(600)
    ]
    events = [
        event(n, "bought", f"c{dice.randrange(200)}", dice.uniform(0, 700), amount=dice.choice([0.1, 2.5, 7.0]))
        for n in range(900)
    ]
    events += [
        event(n, "redeemed", f"c{dice.randrange(200)}", dice.uniform(0, 700), offer="tea", paid=1, shop="a")
        for n in range(1_000, 1_400)
    ]
    return rows, events


def test_a_cluster_gives_the_same_arrays(two: Workers, tmp_path: Path) -> None:
    """Features from events, outcomes and worth are the same to the last bit, wherever the parts are built."""
    rows, events = log(1)
    rows = [{name: value for name, value in one.items() if not name.startswith("feature.")} for one in rows]
    declared = shop(tmp_path, OUTCOMES)
    here = built(declared, tmp_path, rows=rows, events=events)
    there = built(declared, tmp_path, two, rows=rows, events=events)
    assert same(here, there)
    assert here.decisions.x.any()
    assert 0 < (here.decisions.happened == 1).sum() < len(here.decisions)


def test_the_same_command_makes_the_same_model_on_a_cluster(tmp_path: Path) -> None:
    """`fit --dask local:2` ends with the version that `fit` ends with: its name is a digest of all that it holds."""
    dice = Random(2)
    rows = [
        row(n, f"c{dice.randrange(150)}", n, "tea", 0.5, outcomes=[came("accepted", at=n)] * (dice.random() < chance))
        | {"feature.present.mood": mood}
        for n in range(400)
        for mood, chance in [dice.choice([(-1.0, 0.2), (0.5, 0.7)])]
    ]
    log = write_parquet(tmp_path / "log.parquet", rows, shop(tmp_path))
    command = ["fit", f"--strategy={tmp_path / 'shop'}", f"--log={log}", "--forests=0", "--json"]
    here = training(*command, f"--out={tmp_path / 'here'}")
    there = training(*command, f"--out={tmp_path / 'there'}", "--dask=local:2")
    assert (here.code, there.code) == (0, 0), there.err
    assert here.report["version"] == there.report["version"]
    assert here.report["metrics"] == there.report["metrics"]


def test_work_is_done_in_order_by_others(two: Workers) -> None:
    """Results come in the order of the items, from more than one process, none of which is this one."""
    found = list(two.map(_who, 10, [(n,) for n in range(40)]))
    assert [number for number, _ in found] == [10 + n for n in range(40)]
    who = {process for _, process in found}
    assert len(who) == 2
    assert os.getpid() not in who
    assert list(Here().map(_who, 10, [(1,)])) == [(11, os.getpid())]


def _who(shared: int, number: int) -> tuple[int, int]:
    return shared + number, os.getpid()


def test_few_items_are_looked_at_ahead(two: Workers) -> None:
    """However long the work is, only as much of it is under way as keeps the workers busy."""
    taken = []

    def items() -> Iterable[tuple[int]]:
        for number in range(100):
            taken.append(number)
            yield (number,)

    results = iter(two.map(_who, 0, items()))
    next(results)
    assert len(taken) <= 5
    assert len(list(results)) == 99


def test_a_worker_that_dies_is_made_up_for(two: Workers, tmp_path: Path) -> None:
    """A process that is killed in the middle of its work costs time, and changes nothing."""
    mark = tmp_path / "killed"
    found = list(two.map(_dies_once, str(mark), [(n,) for n in range(12)]))
    assert found == list(range(12))
    assert mark.exists()


def _dies_once(mark: str, number: int) -> int:
    if number == 5 and not os.path.exists(mark):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_work_that_always_kills_is_refused_in_words(two: Workers) -> None:
    """A piece that kills whoever does it ends the work with words, not with a trace."""
    with pytest.raises(TrainingRefused, match="the cluster did not finish the work"):
        list(two.map(_dies, None, [(1,)]))


def _dies(shared: None, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_the_work_refuses_stays_a_refusal(two: Workers) -> None:
    """An error inside of a worker comes back as it was raised."""
    with pytest.raises(InputRefused, match="log:3: what is wrong"):
        list(two.map(_refuses, None, [(1,)]))


def _refuses(shared: None, number: int) -> None:
    raise InputRefused(["log:3: what is wrong"])


@pytest.mark.parametrize("address", ["", "local", "local:0", "local:100", "tcp://", "http://a:1", "local:2 "])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Only a scheduler's address or a number of local processes will do."""
    with pytest.raises(TrainingRefused, match="is no Dask cluster; write"), workers(address):
        pass


def test_nobody_there_is_refused_in_words(free_port: int) -> None:
    """A scheduler that does not answer is named, within seconds."""
    address = f"tcp://127.0.0.1:{free_port}"
    with pytest.raises(TrainingRefused, match=f"{address} cannot be reached"), workers(address, reached_s=0.5):
        pass
