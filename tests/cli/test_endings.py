"""However a service ends, nothing it started is left."""

import os
import signal
import socket
from pathlib import Path

import pytest
from redis import Redis

from tests.cli.commands import ENDS_WITHIN_S, Process, gone, one_line, tact, typed, until


def test_both_polite_signals_end_a_service_and_its_store(tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C end the service with 0, and its store; what was written is there afterwards."""
    words = ("serve", "--store", f"embedded:{tmp_path / 'store'}", "--port", "0", "--json")
    for number in (signal.SIGTERM, signal.SIGINT):
        with Process(*words) as process:
            process.serving()
            started = process.offspring()
            assert len(started) >= 2  # the store and its watchdog
            assert process.told(number) == 0
            assert gone(started)
            assert process.errors() == ""


def test_kill_9_leaves_no_process_behind(tmp_path: Path) -> None:
    """The store ends with a service that was killed."""
    with Process("serve", "--store", f"embedded:{tmp_path / 'store'}", "--port", "0", "--json") as process:
        started = process.serving().offspring()
        assert len(started) >= 2
        process.told(signal.SIGKILL)
        until(lambda: gone(started), ENDS_WITHIN_S)


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    """The address is named, with what to do; the store that was started for it is gone."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = tact("serve", "--store", f"embedded:{tmp_path / 'store'}", "--port", port)
    said = one_line(ran, 1)
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said
    owner = (tmp_path / "store" / "lock").read_text()
    assert not Path(f"/proc/{owner}").exists()


def test_settings_come_from_the_environment_and_secrets_stay_out_of_sight(store_url: str, tmp_path: Path) -> None:
    """TACT_STORE names the store; a password in it is shown nowhere, and on the command line is refused."""
    with Redis.from_url(store_url) as store:
        store.acl_setuser("cli-test", enabled=True, passwords=["+opensesame"], keys=["*"], commands=["+@all"])
    secret = store_url.replace("redis://", "redis://cli-test:opensesame@")
    try:
        with Process("serve", "--json", env={"TACT_STORE": secret, "TACT_PORT": "0"}) as process:
            said = process.serving().said
            assert process.told(signal.SIGTERM) == 0
            assert "opensesame" not in f"{said} {process.errors()}"
        refused = one_line(tact("serve", "--json", "--port", "0", "--store", secret), 2)
        assert "TACT_STORE_URL_FILE" in refused
        assert "opensesame" not in refused
    finally:
        with Redis.from_url(store_url) as store:
            store.acl_deluser("cli-test")


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    """While a service lingers for its balancers, a second signal ends it, and the store with it."""
    words = ("serve", "--store", f"embedded:{tmp_path / 'store'}", "--port", "0", "--json", "--linger", "60")
    with Process(*words) as process:
        started = process.serving().offspring()
        os.kill(process.pid, signal.SIGINT)
        until(lambda: "not_serving" in typed("health", "--target", process.target).stdout.replace(" ", "_"))
        assert process.told(signal.SIGINT) == 128 + signal.SIGINT
        until(lambda: gone(started), ENDS_WITHIN_S)


@pytest.mark.skipif(not Path("/proc/self/sched").exists(), reason="only Linux tells the scheduling of a process")
def test_scheduling_can_be_switched_off(tmp_path: Path) -> None:
    """SCHED_BATCH is the default, and `--scheduling normal` leaves the process as it was."""
    for name, policy in (("batch", os.SCHED_BATCH), ("normal", os.SCHED_OTHER)):
        store = f"embedded:{tmp_path / 'store'}"
        with Process("serve", "--store", store, "--port", "0", "--json", "--scheduling", name) as process:
            process.serving()
            assert os.sched_getscheduler(process.pid) == policy
            assert process.told(signal.SIGTERM) == 0
