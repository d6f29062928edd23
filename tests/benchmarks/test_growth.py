"""Customers that are copied are customers; a soak that is not flat is told; paper is computed as it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from benchmarks.__main__ import numbers
from benchmarks.capacity import Cluster, Measured, main, measured_in, of_one_store, rows
from benchmarks.growth import CUSTOMERS, QUICK_CUSTOMERS, _filled, to_fill
from benchmarks.loadgen import BUILT
from benchmarks.soak import Look, _result
from benchmarks.stage import Size, Stage
from service.store import keys


@dataclass(frozen=True, slots=True)
class _Population:
    customers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Filling:
    """The parts of a stage that filling needs."""

    store: Redis
    population: _Population


def test_a_copy_is_a_customer_of_its_own(clean_store_url: str) -> None:
    """Each has its own keys and id, and all else of the one it was copied from: facts, history of consent, expiry."""
    with Redis.from_url(clean_store_url) as store:
        for name in ("ada", "bo"):
            store.hset(keys.context_key(name), mapping={"i": name, "s": f"facts of {name}", "c": "agreed"})
            store.pexpire(keys.context_key(name), 600_000)
            store.rpush(keys.history_key(name), "agreed")
        stage = cast(Stage, _Filling(store, _Population(("ada", "bo"))))
        _filled(stage, 2, 1_500)
        names, _ = _filled(stage, 1_500, 2_500)
        found = [store.hgetall(keys.context_key(name)) for name in names]
        assert all(store.pttl(keys.context_key(name)) > 0 for name in names)
        assert all(store.lrange(keys.history_key(name), 0, -1) == [b"agreed"] for name in names)
    assert len(set(names)) == 2_500
    assert [one[b"i"].decode() for one in found] == list(names)
    assert {one[b"s"] for one in found} == {b"facts of ada", b"facts of bo"}
    assert {one[b"c"] for one in found} == {b"agreed"}


FLAT = tuple(Look(10.0 * at, 80.0, 30, 9, 500.0, 2_000.0, 900.0) for at in range(1, 13))


def changed(**more: float) -> Sequence[Look]:
    """Return looks of which the last third has something else."""
    return (*FLAT[:8], *(replace(look, **more) for look in FLAT[8:]))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("looks", "broken"),
    [
        pytest.param(FLAT, [], id="flat"),
        pytest.param(changed(uss_mb=84.0), [0], id="memory grows"),
        pytest.param(changed(descriptors=31), [1], id="a descriptor is left"),
        pytest.param(changed(p99_us=3_500.0), [2], id="the slowest calls grow slower"),
        pytest.param(changed(p50_us=800.0), [3], id="most calls grow slower"),
    ],
)
def test_a_soak_says_what_is_not_flat(looks: Sequence[Look], broken: list[int]) -> None:
    """Of four bounds the one about what grew does not hold."""
    bounds = _result(looks, 100.0).bounds
    assert [at for at, bound in enumerate(bounds) if not bound.holds] == broken


MEASURED = Measured(200.0, 100.0, 100.0, 80.0, 20.0, 25.0, 2_000.0, 1_000.0)


def test_paper_is_bounded_by_what_ends_first() -> None:
    """Half of six machines of eight cores answer, half of the primaries' eight of sixteen cores store."""
    found = dict(rows(MEASURED, Cluster(6, 4, 8, 64), customers=10_000_000, log_days=10))
    assert list(found.values()) == [
        80_000.0,  # 16 cores × 0.5 / 100 µs of the store: the service could 120,000
        100_000.0,  # the same / 80 µs
        1e6 / 100_000 / 60,
        320_000.0,
        32_000_000.0,  # 64 GB of primaries / 2,000
        (64e9 - 20e9) / 1_000 / 10,
    ]


def test_a_run_without_a_section_is_no_ground_for_paper(tmp_path: Path) -> None:
    """What was not measured is not made up."""
    with pytest.raises(LookupError, match="no server CPU of unary in the section stream"):
        measured_in({"sections": [{"name": "stream", "failed": "it did"}]})


@pytest.mark.parametrize("customers", [100, 1_999, 2_000, 2_001, 10_000, 50_000])
def test_a_store_that_is_filled_has_fewer_customers_before(customers: int) -> None:
    """Also where more are asked for than the smallest filling: what a customer takes is told by what was added."""
    size = Size(customers=customers)
    assert to_fill(size, QUICK_CUSTOMERS[0], quick=True).customers < QUICK_CUSTOMERS[0]
    assert to_fill(size, CUSTOMERS[0], quick=False).customers < CUSTOMERS[0]
    assert to_fill(Size(customers=600), QUICK_CUSTOMERS[0], quick=True) == Size(customers=600)


def test_a_number_that_is_named_twice_is_measured_once() -> None:
    """Two figures of one case could not be told apart."""
    assert numbers("8,64,8") == (8, 64)


@pytest.mark.parametrize("said", [None, "{", "{}", "[]", '{"sections": []}'])
def test_paper_that_has_no_ground_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    """No file, no JSON, no run, or a run without the sections: words, and the exit status 1."""
    file = tmp_path / "last.json"
    if said is not None:
        file.write_text(said)
    monkeypatch.setattr(sys, "argv", ["capacity", str(file)])
    with pytest.raises(SystemExit, match=r"last\.json is no run that tells the capacity"):
        main()


def test_the_paper_in_the_documents_follows_from_its_figures() -> None:
    """`docs/capacity.md`: what it says of ten machines and of one store is what its first table comes to."""
    text = (BUILT.parents[1] / "docs" / "capacity.md").read_text(encoding="utf-8")
    cells = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", text, re.MULTILINE))

    def number(says: str) -> float:
        return float(re.sub(r"[^0-9.]", "", next(value for found, value in cells.items() if found.startswith(says))))

    measured = Measured(
        number("CPU of the service, a unary"), number("CPU of the service, a decision in a batch"),
        number("CPU of the store, a decision (read"), number("CPU of the store, a decision in a batch"),
        number("CPU of the service, an event"), number("CPU of the store, an event"),
        number("a customer in the store"), number("a decision in the log"),
    )  # fmt: skip
    for says, value in rows(measured, Cluster(), customers=10_000_000, log_days=14):
        assert number(says) == pytest.approx(value, rel=0.01), says
    one_store = text.partition("**one store**")[2].partition("\n\n")[0]
    told = [float(one.replace(",", "")) for one in re.findall(r"\d+,\d{3}|0\.\d\d", one_store)]
    assert told == [pytest.approx(value, rel=0.02) for _, value in of_one_store(measured)]
