"""One document is sent, and it is told what became of it."""

import socket
import threading
import time

import pytest

from service.telemetry.sending import ATTEMPT_S, Fate, Sender
from tests.service.telemetry.collector import collecting


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.TAKEN), (202, Fate.TAKEN), (301, Fate.NEVER), (429, Fate.LATER), (502, Fate.LATER),
        (503, Fate.LATER), (504, Fate.LATER), (400, Fate.NEVER), (401, Fate.NEVER), (404, Fate.NEVER),
        (500, Fate.NEVER),
    ],
)  # fmt: skip
def test_what_a_collector_answers_decides(status: int, fate: Fate) -> None:
    """By the OTLP specification four answers ask for it again; a redirection is not followed."""
    with collecting(status=status) as collector:
        sender = Sender(collector.url, {})
        assert [sender.send("/v1/traces", b"") for _ in range(3)] == [fate] * 3
        sender.close()
        assert collector.asked == 3


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    """A collector hangs up on who was silent for long; that costs the next document nothing."""
    with collecting() as collector:
        sender = Sender(collector.url, {})
        assert sender.send("/v1/traces", b"") is Fate.TAKEN
        collector.hang_up()
        assert sender.send("/v1/traces", b"") is Fate.TAKEN
        sender.close()
        assert collector.asked == 2


def test_one_connection_is_kept() -> None:
    """Document after document goes over one connection."""
    with collecting() as collector:
        sender = Sender(collector.url, {})
        for _ in range(5):
            sender.send("/v1/metrics", b"")
        sender.close()
        assert len(collector.connections) == 1


def test_what_is_no_collector_is_asked_later() -> None:
    """Who answers with what is no HTTP is taken for a collector that is not well."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example.org ESMTP\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        assert Sender(f"http://127.0.0.1:{server.getsockname()[1]}", {}).send("/v1/traces", b"x") is Fate.LATER
        thread.join()


def test_a_collector_that_says_nothing_is_given_up() -> None:
    """An attempt takes no longer than was said."""
    with collecting(hangs=True) as collector:
        began = time.monotonic()
        assert Sender(collector.url, {}).send("/v1/traces", b"") is Fate.LATER
        assert time.monotonic() - began < ATTEMPT_S + 0.5


def test_the_path_of_a_url_comes_first() -> None:
    """A collector behind a path, as many that are rented, is asked below it."""
    with collecting() as collector:
        sender = Sender(f"{collector.url}/tenant/7", {"x-key": "k"})
        sender.send("/v1/traces", b"")
        sender.close()
    assert collector.paths == ["/tenant/7/v1/traces"]
    assert collector.headers["x-key"] == "k"
