"""The embedded store keeps its data and never outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import pytest
from redis import Redis

from service.store import embedded
from service.store.embedded import EmbeddedStore, EmbeddedStoreError, StoreLocked

ROOT = Path(__file__).parents[2]
PATIENCE_S = 15.0

# A service that owns a store: tells its processes and URL, then does what the test asks for.
OWNER = """
    import os, signal, sys, time
    from pathlib import Path
    from service.store import embedded
    embedded.STOP_WITHIN_S = float(sys.argv[2])
    store = embedded.EmbeddedStore(Path(sys.argv[1]))
    url = store.start()
    print(*store.processes, url, flush=True)
"""
WAITS = "\nsignal.pause()"


class Owner:
    """A service in a process group of its own, as a shell starts it."""

    def __init__(self, folder: Path, then: str, stop_within_s: float) -> None:
        script = textwrap.dedent(OWNER) + textwrap.dedent(then)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder), str(stop_within_s)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        watchdog, server, self.url = self.says().split()
        self.watchdog, self.server = int(watchdog), int(server)

    def says(self) -> str:
        """Return the next line it prints."""
        return cast(IO[str], self.process.stdout).readline().strip()

    def kill(self) -> None:
        """Kill -9 the service alone."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Leave nothing behind, whatever the test has found."""
        self.kill()
        cast(IO[str], self.process.stdout).close()
        for pid in (self.server, self.watchdog):
            if not gone(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def owners() -> Iterator[Callable[..., Owner]]:
    """Return what starts owners; they are all ended with the test."""
    started: list[Owner] = []

    def start(folder: Path, then: str = WAITS, stop_within_s: float = 10.0) -> Owner:
        started.append(Owner(folder, then, stop_within_s))
        return started[-1]

    yield start
    for owner in started:
        owner.close()


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has buried yet counts."""
    state = Path(f"/proc/{pid}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return state.read_text().rpartition(")")[2].split()[0] == "Z"
        os.kill(pid, 0)
        return False
    return True


def soon(holds: Callable[[], bool]) -> bool:
    """Wait until it holds; False when it does not within 15 s."""
    gives_up = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > gives_up:
            return False
        time.sleep(0.005)
    return True


def test_a_store_is_up_within_a_second_and_leaves_nothing(tmp_path: Path) -> None:
    """A store on an empty folder answers within a second, and stop() leaves neither server nor watchdog."""
    store = EmbeddedStore(tmp_path / "new" / "folder")
    started = time.monotonic()
    url = store.start()
    took = time.monotonic() - started
    processes = store.processes
    assert store.running
    with Redis.from_url(url) as client:
        assert client.ping()
    store.stop()
    assert took < 1.0
    assert all(gone(pid) for pid in processes)
    assert not store.running


def test_the_store_is_set_to_keep_its_promises(tmp_path: Path) -> None:
    """The store appends every write to a file, evicts nothing and listens on loopback only."""
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
    with EmbeddedStore(tmp_path) as url, Redis.from_url(url, decode_responses=True) as client:
        assert client.config_get(*wanted) == wanted


def test_data_and_functions_survive_a_restart(tmp_path: Path) -> None:
    """What was written, functions included, is there after an orderly stop and a new start on the same folder."""
    library = "#!lua name=greet\nredis.register_function('hello', function() return 'hi' end)"
    with EmbeddedStore(tmp_path) as url, Redis.from_url(url) as client:
        client.set("customer", "anna")
        client.function_load(library)
    with EmbeddedStore(tmp_path) as url, Redis.from_url(url) as client:
        assert client.get("customer") == b"anna"
        assert client.fcall("hello", 0) == b"hi"


def test_nothing_is_left_after_kill_9_of_the_owner(tmp_path: Path, owners: Callable[..., Owner]) -> None:
    """Kill -9 of the service ends the server and the watchdog."""
    owner = owners(tmp_path)
    assert not gone(owner.server)
    assert not gone(owner.watchdog)
    owner.kill()
    assert soon(lambda: gone(owner.server) and gone(owner.watchdog))


def test_a_forked_copy_of_the_owner_keeps_nothing_alive(tmp_path: Path, owners: Callable[..., Owner]) -> None:
    """Kill -9 of the service ends its store even when a forked child lives on with the service's open files."""
    owner = owners(tmp_path, "\nchild = os.fork()\nif child:\n    print(child, flush=True)\nsignal.pause()")
    child = int(owner.says())
    owner.kill()
    try:
        assert soon(lambda: gone(owner.server) and gone(owner.watchdog))
        assert not gone(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_forked_copy_of_the_owner_does_not_delay_stop(tmp_path: Path, owners: Callable[..., Owner]) -> None:
    """stop() ends the store at once though a forked child still holds the service's open files."""
    owner = owners(
        tmp_path,
        """
        child = os.fork()
        if not child:
            signal.pause()
        before = time.monotonic()
        store.stop()
        print(child, time.monotonic() - before, flush=True)
        """,
    )
    child, took_s = owner.says().split()
    os.kill(int(child), signal.SIGKILL)
    assert float(took_s) < 2.0


def test_a_hung_server_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that no longer reacts is killed when its time to stop is over."""
    monkeypatch.setattr(embedded, "STOP_WITHIN_S", 0.3)
    store = EmbeddedStore(tmp_path)
    store.start()
    watchdog, server = store.processes
    os.kill(server, signal.SIGSTOP)
    store.stop()
    assert gone(watchdog)
    assert gone(server)


def test_a_hung_watchdog_does_not_hold_up_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the watchdog no longer reacts, stop() kills it and the server itself."""
    monkeypatch.setattr(embedded, "STOP_WITHIN_S", -1.5)  # waits for 2 s more
    store = EmbeddedStore(tmp_path)
    store.start()
    watchdog, server = store.processes
    os.kill(watchdog, signal.SIGSTOP)
    store.stop()
    assert gone(watchdog)
    assert soon(lambda: gone(server))


def test_a_hung_server_ends_after_kill_9_of_its_owner(tmp_path: Path, owners: Callable[..., Owner]) -> None:
    """The watchdog kills a server that does not react, with nobody left who could."""
    owner = owners(tmp_path, stop_within_s=0.3)
    os.kill(owner.server, signal.SIGSTOP)
    owner.kill()
    assert soon(lambda: gone(owner.server) and gone(owner.watchdog))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is a thing of Linux")
def test_the_server_ends_with_its_watchdog(tmp_path: Path) -> None:
    """Kill -9 of the watchdog ends the server too, so that none is left without a guard."""
    store = EmbeddedStore(tmp_path)
    store.start()
    watchdog, server = store.processes
    os.kill(watchdog, signal.SIGKILL)
    assert soon(lambda: gone(server))
    assert soon(lambda: not store.running)
    store.stop()


def test_a_server_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    """When the server is killed the watchdog ends, the store says so, and can be started again with its data."""
    store = EmbeddedStore(tmp_path)
    with Redis.from_url(store.start()) as client:
        client.set("customer", "anna")
    watchdog, server = store.processes
    os.kill(server, signal.SIGKILL)
    assert soon(lambda: not store.running)
    assert gone(watchdog)
    store.stop()
    with Redis.from_url(store.start()) as client:
        assert client.get("customer") == b"anna"
    store.stop()


def test_a_server_that_pauses_is_left_alone(tmp_path: Path) -> None:
    """A server that is stopped for a while, as by a debugger, is not taken for one that has ended."""
    store = EmbeddedStore(tmp_path)
    with store as url, Redis.from_url(url) as client:
        for pause in (signal.SIGSTOP, signal.SIGCONT) * 20:
            os.kill(store.processes[1], pause)
            time.sleep(0.005)
        assert client.ping()
        assert store.running


@pytest.mark.parametrize("victim", ["owner", "server"])
def test_a_rewrite_of_the_file_ends_too(tmp_path: Path, owners: Callable[..., Owner], victim: str) -> None:
    """The child that the server forks to rewrite its append-only file does not outlive service or server."""
    owner = owners(tmp_path)
    with Redis.from_url(owner.url) as client:
        client.config_set("rdb-key-save-delay", 1_000_000)
        client.mset({f"customer-{number}": number for number in range(1000)})
        client.bgrewriteaof()
        assert soon(lambda: len(group_of(owner.server)) == 2)
    os.kill({"owner": owner.process.pid, "server": owner.server}[victim], signal.SIGKILL)
    assert soon(lambda: gone(owner.watchdog))
    assert group_of(owner.server) == []


@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="only Linux tells of children")
@pytest.mark.parametrize("nicer", [0, 15])
def test_a_rewrite_of_the_file_makes_way(tmp_path: Path, owners: Callable[..., Owner], nicer: int) -> None:
    """The child that rewrites the file is nicer than usual; the server and the watchdog stay as nice as they were."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)  # the tests may run behind others themselves
    if usual >= 10:
        pytest.skip("These tests run as nice as the rewrite would be made: it has no way to make.")
    nice = min(usual + nicer, 19)
    owner = owners(
        tmp_path, f"\nos.setpriority(os.PRIO_PGRP, store.processes[1], {nice}); print('nice', flush=True)" + WAITS
    )
    assert owner.says() == "nice"
    with Redis.from_url(owner.url) as client:
        client.config_set("rdb-key-save-delay", 1_000_000)
        client.mset({f"customer-{number}": number for number in range(1000)})
        client.bgrewriteaof()
        assert soon(lambda: len(group_of(owner.server)) == 2)
        (child,) = set(group_of(owner.server)) - {owner.server}
        assert soon(lambda: os.getpriority(os.PRIO_PROCESS, child) == max(nice, 10))
        time.sleep(0.6)  # the watchdog looks twice meanwhile
        assert os.getpriority(os.PRIO_PROCESS, child) == max(nice, 10)
        assert os.getpriority(os.PRIO_PROCESS, owner.server) == nice
        assert os.getpriority(os.PRIO_PROCESS, owner.watchdog) == usual


def group_of(leader: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, group, state in rows if int(group) == leader and not state.startswith("Z")]


def test_ctrl_c_leaves_the_server_to_its_owner(tmp_path: Path, owners: Callable[..., Owner]) -> None:
    """Ctrl-C in the terminal reaches the service alone: the store still takes writes until the service stops it."""
    owner = owners(
        tmp_path,
        """
        from redis import Redis
        try:
            print("ready", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            with Redis.from_url(url) as client:
                client.set("last", "word")
            store.stop()
            print("stopped", flush=True)
        """,
    )
    assert owner.says() == "ready"
    os.kill(owner.watchdog, signal.SIGTERM)  # a supervisor may signal every process it sees
    os.killpg(owner.process.pid, signal.SIGINT)
    assert owner.says() == "stopped"
    assert owner.process.wait(PATIENCE_S) == 0
    assert gone(owner.server)
    assert gone(owner.watchdog)
    with EmbeddedStore(tmp_path) as url, Redis.from_url(url) as client:
        assert client.get("last") == b"word"


@pytest.mark.parametrize("victims", ["owner", "everything"])
def test_acknowledged_writes_survive_kill_9(tmp_path: Path, owners: Callable[..., Owner], victims: str) -> None:
    """No acknowledged write is lost to kill -9 of the service, or of service, watchdog and server at once.

    The new service starts at once, while the old server may still be ending, and waits for it.
    """
    owner = owners(tmp_path)
    with Redis.from_url(owner.url) as client:
        for number in range(500):
            client.set(f"customer-{number}", number)
    owner.kill()
    if victims == "everything":
        for pid in (owner.watchdog, owner.server):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with EmbeddedStore(tmp_path) as url, Redis.from_url(url) as client:
        assert gone(owner.server)  # two servers on one file would ruin it
        assert [client.get(f"customer-{number}") for number in range(500)] == [b"%d" % n for n in range(500)]


def test_two_services_cannot_use_one_folder(tmp_path: Path, owners: Callable[..., Owner]) -> None:
    """A second service on the same folder is refused at once, with the folder and the process that has it."""
    owner = owners(tmp_path)
    started = time.monotonic()
    with pytest.raises(StoreLocked, match=rf"{tmp_path} is in use by process {owner.process.pid}\."):
        EmbeddedStore(tmp_path).start()
    assert time.monotonic() - started < 2.0
    owner.kill()
    with EmbeddedStore(tmp_path), pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        EmbeddedStore(tmp_path).start()


def test_a_store_that_runs_is_not_started_twice(tmp_path: Path) -> None:
    """start() on a running store is an error, and the store goes on."""
    store = EmbeddedStore(tmp_path)
    with store:
        with pytest.raises(EmbeddedStoreError, match="running already"):
            store.start()
        assert store.running


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file where the folder should be gives an error with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedStoreError, match=f"cannot use {tmp_path / 'file'}"):
        EmbeddedStore(tmp_path / "file").start()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Damaged data make start() fail with the last lines of the server's log, and leave no process and no lock."""
    with EmbeddedStore(tmp_path) as url, Redis.from_url(url) as client:
        client.set("customer", "anna")
    for file in (tmp_path / "appendonlydir").glob("*.incr.aof"):
        file.write_bytes(b"rubbish\r\n" * 10)
    for _ in range(2):
        with pytest.raises(EmbeddedStoreError, match="Bad file format reading the append only file"):
            EmbeddedStore(tmp_path).start()


def test_a_program_that_cannot_run_is_named(tmp_path: Path) -> None:
    """A server that cannot be executed gives an error with its path."""
    with pytest.raises(EmbeddedStoreError, match=r"cannot execute .*no-such-server: No such file"):
        EmbeddedStore(tmp_path, server=tmp_path / "no-such-server").start()


def test_another_store_on_the_port_is_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that another Redis has is refused when it was asked for, and left for a free one when it was not."""
    with EmbeddedStore(tmp_path / "first") as url:
        taken = int(url.rpartition(":")[2].split("/")[0])
        with pytest.raises(EmbeddedStoreError, match=f"port {taken}.*(?s:.*)in use"):
            EmbeddedStore(tmp_path / "second", port=taken).start()
        offers = iter((taken, embedded.free_port()))
        monkeypatch.setattr(embedded, "free_port", lambda: next(offers))
        with EmbeddedStore(tmp_path / "second") as second:
            assert second != url


def test_other_users_cannot_read_the_data(tmp_path: Path) -> None:
    """The folder that the store makes, and the files of the server, are for the owner's eyes only."""
    with EmbeddedStore(tmp_path / "data") as url, Redis.from_url(url) as client:
        client.set("customer", "anna")
    private = [tmp_path / "data", *(tmp_path / "data" / "appendonlydir").iterdir()]
    assert [path for path in private if path.stat().st_mode & 0o077] == []
