"""The ASGI application: calls over Connect and gRPC-Web, the pages where they are wanted, and nothing else."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any, TypeAlias

from service.rpc.web.endpoints import Served
from service.rpc.web.origins import Headers, Origins
from service.rpc.web.pages import Page
from service.rpc.web.room import Receive, Room

log = logging.getLogger(__name__)

Scope: TypeAlias = "dict[str, Any]"
Send: TypeAlias = Callable[[Any], Awaitable[None]]

CALLED_AS = (
    b"application/json", b"application/proto", b"application/connect+json", b"application/connect+proto",
    b"application/grpc-web", b"application/grpc-web+proto", b"application/grpc-web+json",
)  # fmt: skip
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HARDENED: Headers = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
ENCRYPTED = (b"strict-transport-security", b"max-age=2592000")
NOT_KEPT = (b"cache-control", b"no-store")
FOREIGN = "Pages of this origin may not call. Start the service with --web-origin and this origin, if they should."
_WRITTEN: Mapping[bytes, re.Pattern[bytes]] = {
    b"connect-timeout-ms": re.compile(rb"[0-9]{0,10}"),
    b"grpc-timeout": re.compile(rb"([0-9]{1,8}[HMSmun])?"),
    b"connect-protocol-version": re.compile(rb"1?"),
}
NO_FORM = f"Send one of {', '.join(one.decode() for one in CALLED_AS)}."


class Door:
    """Answers what comes over HTTP. `pages` are served by their path to whoever asks: they hold nothing of anybody."""

    def __init__(self, served: Served, origins: Origins, pages: Mapping[str, Page], room: Room) -> None:
        self._applications, self._origins, self._pages = served.applications, origins, pages
        self._streamed, self._room = served.streamed, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong inside is logged without its text, for that may be about a person."""
        try:
            await self._answer(scope, receive, _only_encrypted(send) if scope["scheme"] == "https" else send)
        except Exception as error:  # noqa: BLE001 - the server behind would log its text
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("Internal error in the browser door: %s\n%s", type(error).__name__, frames)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path = dict(scope["headers"]), scope["path"]
        origin, application = headers.get(b"origin"), self._applications.get(path)
        if application is None:
            await self._page(scope["method"], path, headers, send)
        elif not all(_is_plain(value) for pair in scope["headers"] for value in pair):
            await _say(send, 400, "A header holds what is no visible character of ASCII.")
        elif wrong := next((name for name in _WRITTEN if not _WRITTEN[name].fullmatch(headers.get(name, b""))), None):
            await _say(send, 400, f"The header {wrong.decode()} is not written as its protocol has it.")
        elif scope["method"] == "OPTIONS":
            await self._preflight(headers, send)
        elif not self._origins.allow(origin):
            await _say(send, 403, FOREIGN)
        elif headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in CALLED_AS:
            await _say(send, 415, NO_FORM)
        else:
            told = _with(send, (*self._origins.headers(origin), NOT_KEPT))
            if path in self._streamed:  # whose messages are answered one by one, and are not kept
                await application(scope, receive, told)
                return
            with self._room.kept(receive) as received:
                await application(scope, received, told)

    async def _preflight(self, headers: Mapping[bytes, bytes], send: Send) -> None:
        if (answer := self._origins.preflight(headers)) is None:
            await _say(send, 403, FOREIGN)
        else:
            await _send(send, 204, answer)

    async def _page(self, method: str, path: str, headers: Mapping[bytes, bytes], send: Send) -> None:
        page = self._pages.get(path)
        if page is None:
            await _say(send, 404, "There is nothing here.")
        elif method not in ("GET", "HEAD"):
            await _say(send, 405, "Read this with GET.", ((b"allow", b"GET, HEAD"),))
        else:
            await _show(page, headers, send)


async def _show(page: Page, headers: Mapping[bytes, bytes], send: Send) -> None:
    known = ((b"etag", page.etag), (b"cache-control", page.kept), (b"vary", b"accept-encoding"))
    if page.etag in (one.strip().removeprefix(b"W/") for one in headers.get(b"if-none-match", b"").split(b",")):
        await _send(send, 304, known)
        return
    zipped = page.packed is not None and _takes_gzip(headers.get(b"accept-encoding", b""))
    packed = ((b"content-encoding", b"gzip"),) if zipped else ()
    body = page.packed if zipped and page.packed is not None else page.plain
    await _send(send, 200, (*known, *packed, (b"content-type", page.kind)), body)


def _takes_gzip(accepted: bytes) -> bool:
    wanted = (one.replace(b" ", b"").lower() for one in accepted.split(b","))
    return any(one == b"gzip" or (one.startswith(b"gzip;q=") and one.strip(b"0.") != b"gzip;q=") for one in wanted)


async def _say(send: Send, status: int, text: str, headers: Headers = ()) -> None:
    """Answer with a sentence, as Connect writes what went wrong outside of a call."""
    await _send(
        send, status, (*headers, NOT_KEPT, (b"content-type", b"text/plain; charset=utf-8")), f"{text}\n".encode()
    )


async def _send(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    sized = () if status in (204, 304) else ((b"content-length", str(len(body)).encode()),)
    hardened = _with(send, ())
    await hardened({"type": "http.response.start", "status": status, "headers": [*headers, *sized]})
    await hardened({"type": "http.response.body", "body": body, "more_body": False})


def _with(send: Send, added: Headers) -> Send:
    """Add to every answer what it says to browsers."""

    async def sent(message: Any) -> None:  # noqa: ANN401 - one of several messages of ASGI
        if message["type"] == "http.response.start":
            date = (b"date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [date, *message["headers"], *added, *HARDENED]}
        await send(message)

    return sent


def _only_encrypted(send: Send) -> Send:
    """Let browsers come here encrypted alone from now on, as this answer went."""

    async def sent(message: Any) -> None:  # noqa: ANN401 - as above
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], ENCRYPTED]}
        await send(message)

    return sent


def _is_plain(value: bytes) -> bool:
    return value.isascii() and value.decode().isprintable()
