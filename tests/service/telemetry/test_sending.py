"""One document is sent, and it is told what became of it."""

import socket
import threading
import time

import pytest

from service.telemetry import sending
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


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 mail.example.org ESMTP\r\n\r\n", b"", b"\x15\x03\x01\x00\x02\x02\x46", b"H", b"x" * 70_000,
        b"HTTP/1.1 " + b"9" * 5000 + b"\r\n\r\n", b"HTTP/1.1 20\xb2 OK\r\n\r\n", OK + b"a: b\r\n" * 200 + b"\r\n",
        CHUNKED + b"-5\r\n", CHUNKED + b"zz\r\n", CHUNKED + b"5\r\nab",
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_collector_is_asked_later(garbage: bytes) -> None:
    """Who answers with what is no HTTP, or with half of it, is taken for a collector that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(garbage)

        thread = threading.Thread(target=talk)
        thread.start()
        assert Sender(f"http://127.0.0.1:{server.getsockname()[1]}", {}).send("/v1/traces", b"x") is Fate.AWAY
        thread.join()


@pytest.mark.parametrize("how", ["hangs", "drips", "floods"])
def test_a_collector_that_does_not_come_to_an_end_is_given_up(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt takes no longer than was said, in however many pieces an answer comes."""
    monkeypatch.setattr(sending, "ATTEMPT_S", 1.0)
    with collecting(how=how) as collector:
        sender, began = Sender(collector.url, {}), time.monotonic()
        assert sender.send("/v1/traces", b"") is Fate.AWAY
        assert 0.9 < time.monotonic() - began < 3.0
    assert sender.why == "TimeoutError"


def test_what_was_said_late_gives_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer runs from its beginning, and not anew from every piece of it."""
    monkeypatch.setattr(sending, "ATTEMPT_S", 1.6)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                time.sleep(1.4)
                connection.sendall(OK)
                while connection.recv(65_536):
                    pass

        thread, began = threading.Thread(target=talk), time.monotonic()
        thread.start()
        assert Sender(f"http://127.0.0.1:{server.getsockname()[1]}", {}).send("/v1/traces", b"x") is Fate.AWAY
        assert 1.5 < time.monotonic() - began < 2.9
        thread.join()


def test_what_is_too_long_to_be_read_is_not_read_as_the_next_answer() -> None:
    """A collector that says very much is understood, each time."""
    with collecting() as collector:
        collector.says = b"x" * 70_000
        sender = Sender(collector.url, {})
        assert [sender.send("/v1/traces", b"") for _ in range(3)] == [Fate.TAKEN] * 3
        assert len(sender.answer) < 70_000
        sender.close()


def test_a_slow_answer_leaves_the_next_document_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one answer took is not missing when the next document is written, over the same connection."""
    with collecting() as collector:
        sender = Sender(collector.url, {})
        times: list[float | None] = []
        assert sender.send("/v1/traces", b"") is Fate.TAKEN
        kept = sender._kept
        assert kept is not None
        assert (kept.sock.gettimeout() or ATTEMPT_S) < ATTEMPT_S
        write = kept.request

        def request(method: str, url: str, body: bytes, headers: dict[str, str]) -> None:
            times.append(kept.sock.gettimeout())
            write(method, url, body, headers)

        monkeypatch.setattr(kept, "request", request)
        assert sender.send("/v1/traces", b"") is Fate.TAKEN
        sender.close()
    assert times == [ATTEMPT_S]


def test_why_a_document_was_not_taken_can_be_told() -> None:
    """An operator hears the status or the kind of error, and nothing that a collector wrote."""
    with collecting(status=401) as collector:
        collector.says = b"the key hush is not known"
        sender = Sender(collector.url, {})
        assert sender.send("/v1/traces", b"") is Fate.NEVER
        assert sender.why == "status 401"
        sender.close()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://[::1]", ("::1", 80)), ("https://[::1]/x", ("::1", 443)), ("http://[::1]:4318", ("::1", 4318)),
        ("http://collector", ("collector", 80)), ("https://collector:4318", ("collector", 4318)),
    ],
)  # fmt: skip
def test_a_url_without_a_port_means_that_of_its_scheme(url: str, place: tuple[str, int]) -> None:
    """An IPv6 address without a port is not cut in two."""
    connection = Sender(url, {})._connection()
    assert (connection.host, connection.port) == place


def test_the_path_of_a_url_comes_first() -> None:
    """A collector behind a path, as many that are rented, is asked below it."""
    with collecting() as collector:
        sender = Sender(f"{collector.url}/tenant/7", {"x-key": "k"})
        sender.send("/v1/traces", b"")
        sender.close()
    assert collector.paths == ["/tenant/7/v1/traces"]
    assert collector.headers["x-key"] == "k"
