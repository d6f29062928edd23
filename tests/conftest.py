"""The stores that the tests run on, each a real server, and asynchronous tests on a loop of their own.

`pytest --store embedded` or `--store redis-server` chooses one; without it the tests of the store run on both, every
other file on one of them, and `make nightly` runs all on both.
`--store cluster` runs on a Cluster of one server, which refuses what touches keys of more than one slot.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import NoReturn, cast
from zlib import crc32

import pytest
from redis import Redis

from service.store.embedded import EmbeddedStore
from service.store.embedded import free_port as any_free_port

# Before any test imports numpy, as training/__main__ does it: test files run side by side, and what several threads of
# one would win, they lose many times over in waiting for each other's cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# Programs are started hundreds of times: each reads what the first has compiled, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

TESTS = Path(__file__).parent
STORES = ("embedded", "redis-server")
CLUSTER = "cluster"
CLUSTERED = """\
#!/bin/sh
exec {program} "$@" --cluster-enabled yes --cluster-port {bus}
"""
LONGEST_TEST_S = 180.0
_SHARED: set[str] = set()
SLOWEST = (
    "benchmarks/test_learning.py", "benchmarks/test_starbucks_learning.py", "cli/test_demo.py",
    "edge/simulation/test_simulation.py", "live/desktop/test_desktop.py", "live/strategist/test_page.py",
    "core/test_engine.py", "benchmarks/test_starbucks.py", "faults/test_faults.py", "service/test_withdrawal.py",
    "benchmarks/test_bank_stream.py", "benchmarks/test_run.py", "cli/test_tend.py", "cli/test_refresh.py",
    "worlds/test_as_of.py", "cli/test_readme.py", "benchmarks/test_bank.py", "store/test_caps_in_a_crowd.py",
    "service/workers/test_replaced.py", "service/workers/test_crew.py", "benchmarks/test_model.py",
    "benchmarks/test_streaming.py", "service/test_reloading.py", "service/workers/test_calls.py",
    "service/test_many_processes.py", "service/test_challenger.py", "core/test_cel.py", "store/test_caps.py",
    "rpc/test_fuzz.py", "worlds/test_starbucks.py", "cli/test_evaluate.py", "service/test_switch_many_processes.py",
    "cli/test_endings.py", "worlds/test_trucks.py", "core/test_loader_policy.py",
    "training/promoting/test_promotion.py", "training/test_command.py", "core/test_check.py", "core/test_loader.py",
    "core/test_metamorphic.py", "training/log/test_scale.py", "logs/test_export.py", "cli/test_round_trip.py",
)  # fmt: skip
"""The files of tests that take longest, which side by side come first: one of them last would leave a core idle."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep proofs for this session alone: what one test proved the others know, and the user's own stay as they are."""
    if hasattr(config, "workerinput"):  # workers use the folder of whoever started them
        return
    folder = tempfile.mkdtemp(prefix="tact-proofs-")
    before = os.environ.get("TACT_PROOFS")
    os.environ["TACT_PROOFS"] = folder

    def after() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("TACT_PROOFS") if before is None else os.environ.update(TACT_PROOFS=before)

    config.add_cleanup(after)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the stores."""
    parser.addoption(
        "--store",
        action="append",
        default=[],
        metavar="KIND[,KIND]",
        help=f"run the tests on these stores only: {', '.join(STORES)} (default: see `wanted_stores`)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses a store once on each that is wanted."""
    if "store_kind" in metafunc.fixturenames:
        kinds = wanted_stores(metafunc.config, Path(str(metafunc.module.__file__)))
        metafunc.parametrize("store_kind", kinds, scope="session", indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where test files run side by side, begin with the slowest; within a file nothing changes its place."""
    if hasattr(config, "workerinput"):
        places = {TESTS / name: place for place, name in enumerate(SLOWEST)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have to say beside whether they passed: what they recorded as the property `printed`."""
    for report in (report for found in ("passed", "failed") for report in terminalreporter.getreports(found)):
        for said in (value for name, value in report.user_properties if name == "printed"):
            terminalreporter.section(report.nodeid)
            terminalreporter.write_line(str(said))


def wanted_stores(config: pytest.Config, file: Path) -> tuple[str, ...]:
    """Return the stores to test on: those of `--store`, else all for what speaks to a store itself.

    Every other file runs on one of them, always the same, unless TACT_BOTH_STORES is set, as `make nightly` does.
    """
    named = [kind.strip() for words in config.getoption("--store") for kind in words.split(",")]
    if unknown := [kind for kind in named if kind not in (*STORES, CLUSTER)]:
        raise pytest.UsageError(f"--store {unknown[0]}: there are {', '.join((*STORES, CLUSTER))}")
    if named:
        return tuple(dict.fromkeys(named))
    place = file.relative_to(TESTS).as_posix()
    if os.environ.get("TACT_BOTH_STORES") or place.startswith("store/") or not shutil.which("redis-server"):
        return STORES
    return (STORES[crc32(place.encode()) % len(STORES)],)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run an `async def` test on a loop of its own; the fixture `loop_factory`, where a test has it, makes the loop.

    Every other one runs in a context of its own: who it lets in would be the caller of all that come after.
    """
    given = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        copy_context().run(pyfuncitem.obj, **given)
        return True
    make_loop = cast("Callable[[], asyncio.AbstractEventLoop] | None", pyfuncitem.funcargs.get("loop_factory"))
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**given), LONGEST_TEST_S))
    return True


@pytest.fixture(scope="session")
def store_kind(request: pytest.FixtureRequest) -> str:
    """Return which store the test runs on: embedded or redis-server."""
    return str(request.param)


@pytest.fixture(scope="session")
def store_program(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Return the server to run; None means the one that the embedded store brings."""
    if store_kind == "embedded":
        return None
    found = shutil.which("redis-server")
    if found is None:
        absent("There is no redis-server on the PATH (Debian: apt-get install redis-server).")
    if store_kind == CLUSTER:
        script = tmp_path_factory.mktemp("clustered") / "redis-server"
        script.write_text(CLUSTERED.format(program=found, bus=any_free_port()))
        script.chmod(0o755)
        return script
    return Path(found)


@pytest.fixture(scope="session")
def store_url(store_kind: str, store_program: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a store that all tests of this process share."""
    with EmbeddedStore(tmp_path_factory.mktemp("store"), server=store_program) as url:
        if store_kind == CLUSTER:
            with Redis.from_url(url) as store:
                store.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
                gives_up = time.monotonic() + LONGEST_TEST_S
                while store.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    assert time.monotonic() < gives_up
                    time.sleep(0.05)
        _SHARED.add(url)
        yield url
        _SHARED.discard(url)


@pytest.fixture(scope="module", autouse=True)
def no_others_data() -> None:
    """Begin each file with shared stores that are empty but for their functions, whichever file came before it."""
    for url in _SHARED:
        with Redis.from_url(url) as store:
            store.flushdb()


@pytest.fixture
def clean_store_url(store_url: str) -> str:
    """Return the URL of the shared store, empty but for its functions."""
    with Redis.from_url(store_url) as store:
        store.flushdb()
    return store_url


@pytest.fixture
def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    return any_free_port()


def absent(reason: str) -> NoReturn:
    """Skip where something is not installed; fail where everything must be."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(reason)
    pytest.skip(reason)
