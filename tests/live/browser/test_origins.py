"""Whose pages may call: none but the service's own, unless their origin is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.config import SettingRefused, read_settings
from service.rpc.web.origins import Origins
from service.rpc.web.settings import WebSettings, named_host, unnamed
from tests.live.browser.world import Wire, opened, request
from tests.rpc.world import Answering, edge_of

DECIDE = "tact.v1.DecisionService/Decide"
DESK = "https://desk.example.org"
BODY = b'{"customerId": "c-1", "channel": "web", "placements": ["greeting"]}'


async def asked(wire: Wire, origin: str, method: str = "POST") -> dict[str, str]:
    """Ask as a browser does before a page of another origin calls; return what it is told."""
    await wire.send(
        f"OPTIONS /{DECIDE} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n"
        f"access-control-request-method: {method}\r\naccess-control-request-headers: authorization\r\n\r\n".encode()
    )
    said = await wire.answer()
    return {"status": str(said.status), **said.headers}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://desk.example.org.evil.example", "http://127.0.0.1"]
)
@pytest.mark.parametrize("named", [(), (DESK,)])
async def test_a_page_of_another_origin_is_refused(tmp_path: Path, origin: str, named: tuple[str, ...]) -> None:
    """Neither told that it may call, nor answered when it calls all the same: nothing is decided for it."""
    decider = Answering()
    async with opened(tmp_path, edge_of(decider), web=WebSettings(0, named), guarded=False) as port:
        async with port.wire() as wire:
            told = await asked(wire, origin)
        said = await port.call(DECIDE, BODY, origin=origin)
    assert told["status"] == "403"
    assert said.status == 403
    assert b"--web-origin" in said.body
    assert not [name for name in (*told, *said.headers) if name.startswith("access-control")]
    assert decider.asked == []


async def test_a_page_of_a_named_origin_may_call_and_read(tmp_path: Path) -> None:
    """It is told so for POST with a token, and may read how the call ended; with any other method it may not call."""
    async with opened(tmp_path, web=WebSettings(0, (DESK,)), guarded=False) as port:
        async with port.wire() as wire:
            told = await asked(wire, DESK)
            refused = await asked(wire, DESK, "DELETE")
        said = await port.call(DECIDE, BODY, origin=DESK)
    assert told["access-control-allow-origin"] == said.headers["access-control-allow-origin"] == DESK
    assert "authorization" in told["access-control-allow-headers"]
    assert told["access-control-allow-methods"] == "POST"
    assert "access-control-allow-credentials" not in {
        *told,
        *said.headers,
    }  # a token is sent by the page, not by itself
    assert "grpc-status" in said.headers["access-control-expose-headers"]
    assert "origin" in said.headers["vary"]
    assert refused["status"] == "403"


async def test_the_own_pages_may_call(tmp_path: Path) -> None:
    """A page that this service served calls it without being named; so does what is no page and names no origin."""
    async with opened(tmp_path, guarded=False) as port:
        for origin in (f"http://127.0.0.1:{port.port}", f"http://localhost:{port.port}", f"http://[::1]:{port.port}"):
            assert (await port.call(DECIDE, BODY, origin=origin)).status == 200
        assert (await port.call(DECIDE, BODY)).status == 200
        assert (await port.call(DECIDE, BODY, origin=f"https://localhost:{port.port}")).status == 403


@pytest.mark.parametrize(
    "form", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_what_a_page_may_send_unasked_is_no_call(tmp_path: Path, form: str) -> None:
    """Browsers send these of any page without asking first, so they are no call, whatever they hold."""
    decider = Answering()
    async with opened(tmp_path, edge_of(decider), guarded=False) as port:
        said = await port.call(DECIDE, BODY, form)
    assert said.status == 415
    assert b"application/json" in said.body
    assert decider.asked == []


@pytest.mark.parametrize("form", ["application/grpc", "application/grpc+proto", "application/grpc-web-text"])
async def test_what_this_port_does_not_speak_is_told(tmp_path: Path, form: str) -> None:
    """gRPC itself needs HTTP/2 and has a port of its own: whoever errs is told what to send here."""
    async with opened(tmp_path, guarded=False) as port:
        said = await port.call(DECIDE, b"", form)
    assert (said.status, b"application/grpc-web" in said.body) == (415, True)


async def test_nothing_is_asked_with_get(tmp_path: Path) -> None:
    """A link or a picture in a foreign page calls nothing."""
    decider = Answering()
    async with opened(tmp_path, edge_of(decider), guarded=False) as port, port.wire() as wire:
        await wire.send(request(DECIDE, BODY).replace(b"POST", b"GET", 1))
        assert (await wire.answer()).status == 405
    assert decider.asked == []


def test_the_port_that_a_scheme_has_anyway_is_left_out() -> None:
    """Browsers leave it out, so origins are compared without it."""
    own = Origins.of((), ("desk.example.org",), 443, encrypted=True)
    assert own.allow(b"https://desk.example.org")
    assert not own.allow(b"http://desk.example.org")


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("https://Desk.example.org/", ("https://desk.example.org",)),
        (
            "https://a.example:443, http://b.example:8080 https://a.example",
            ("https://a.example", "http://b.example:8080"),
        ),
    ],
)
def test_origins_are_written_as_browsers_write_them(named: str, kept: tuple[str, ...]) -> None:
    """Small letters, no path, no usual port, each once."""
    assert read_settings({"web-port": "0", "web-origin": named}, {}).web.origins == kept


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"web-port": "0", "web-origin": "*"}, r"--web-origin: \* would let every page in"),
        ({"web-port": "0", "web-origin": "https://a.example/desk"}, "--web-origin: .*without a path"),
        ({"web-port": "0", "web-origin": "desk.example.org"}, "--web-origin: .*https://desk.example.org"),
        ({"web-origin": "https://a.example"}, "--web-origin: no port is open for browsers; add --web-port"),
        ({"web-port": "66000"}, "--web-port: .*from 0 .* to 65535"),
        ({"port": "50052", "web-port": "50052"}, "--web-port: it is the port of gRPC"),
    ],
)
def test_wrong_settings_are_refused_in_words(flags: dict[str, str], says: str) -> None:
    """Each says what is wrong and what would be right."""
    with pytest.raises(SettingRefused, match=says):
        read_settings(flags, {})


def test_the_pages_have_a_port_of_their_own_where_none_is_named() -> None:
    """`--desktop` alone is enough; without it nothing is open to browsers."""
    assert read_settings({"desktop": True}, {}).web == WebSettings(50052, (), True)
    assert read_settings({}, {"TACT_DESKTOP": "no"}).web.port is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - not listened on
def test_pages_on_every_address_need_their_name(host: str) -> None:
    """Whoever serves pages to other machines without naming their address is told so, and where to look from here."""
    assert "--web-origin" in unnamed(host, WebSettings(0, desktop=True))
    assert unnamed(host, WebSettings(0, (DESK,), desktop=True)) == unnamed(host, WebSettings(0)) == ""
    assert unnamed("127.0.0.1", WebSettings(0, desktop=True)) == ""
    assert (named_host(host), named_host("127.0.0.1")) == ("localhost", "127.0.0.1")
