"""Who calls: tokens are renewed before they expire and once when they are refused, over TLS or to this machine only."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tact.client import AsyncClient, CallFailed, Client, Tls, Token, TokenFile, question
from tests.edge.access.authority import Authority
from tests.edge.access.world import OWN, guarded
from tests.edge.client.door import Door, standing

ASK = question("customer", "web", ["greeting"])
Given = Callable[[], str | Token]


def jwt(expires_at: float) -> str:
    """Return what looks like a token that expires then."""
    parts = ({"alg": "none"}, {"exp": expires_at})
    packed = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*packed, "signature"))


async def decided(kind: str, target: str, token: Given | str, calls: int = 1, **more: Any) -> None:  # noqa: ANN401 - options
    """Make calls with one of the two clients, one after the other."""
    if kind == "async":
        async with AsyncClient(target, token=token, **more) as tact:
            for _ in range(calls):
                await tact.decide(ASK)
        return

    def threaded() -> None:
        with Client(target, token=token, **more) as tact:
            for _ in range(calls):
                tact.decide(ASK)

    await asyncio.to_thread(threaded)


BOTH = pytest.mark.parametrize("kind", ["async", "sync"])


@BOTH
async def test_a_refused_token_is_renewed_once(kind: str) -> None:
    """A service that knows the old token no more is called again with a new one, and the new one is kept."""
    tokens, door = iter(["old", "new", "newer"]), Door({"new"})
    async with standing(door) as target:
        await decided(kind, target, lambda: next(tokens), calls=3)
    assert door.seen == ["old", "new", "new", "new"]


@BOTH
async def test_a_token_that_stays_refused_is_an_error(kind: str) -> None:
    """Who is never known is told so after two calls, and not asked to wait for more."""
    tokens, door = iter(["one", "two", "three"]), Door()
    async with standing(door) as target:
        with pytest.raises(CallFailed) as failed:
            await decided(kind, target, lambda: next(tokens))
        with pytest.raises(CallFailed):
            await decided(kind, target, "the-same")
    assert failed.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert door.seen == ["one", "two", "the-same"]


@BOTH
async def test_a_token_is_renewed_before_it_expires(kind: str) -> None:
    """A token with a minute left is kept, one with a tenth of a second is replaced while it is still good."""
    door = Door()
    given: list[str] = []

    def source() -> str:
        given.append(jwt(time.time() + (0.5 if not given else 3600)))
        door.known.add(given[-1])
        return given[-1]

    async with standing(door) as target:
        if kind == "async":
            async with AsyncClient(target, token=source) as tact:
                for _ in range(5):
                    await tact.decide(ASK)
                await asyncio.sleep(0.45)  # a fifth of its life before its end
                await asyncio.gather(*(tact.decide(ASK) for _ in range(5)))
        else:
            with Client(target, token=source) as threaded:
                await asyncio.to_thread(lambda: [threaded.decide(ASK) for _ in range(5)])
                await asyncio.sleep(0.45)
                await asyncio.to_thread(lambda: [threaded.decide(ASK) for _ in range(5)])
    assert len(given) == 2
    assert door.seen == [given[0]] * 5 + [given[1]] * 5


async def test_a_source_that_fails_is_forgiven_while_the_token_is_good() -> None:
    """Who cannot renew goes on with what there is; without anything the call fails with the kind of error alone."""
    door, calls = Door({"good"}), 0

    async def source() -> Token:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise ConnectionError("secret host")
        return Token("good", expires_at=time.time() + 0.6, renew_at=0.0)

    async with standing(door) as target, AsyncClient(target, token=source) as tact:
        for _ in range(3):
            await tact.decide(ASK)
        await asyncio.sleep(0.7)
        with pytest.raises(CallFailed, match="ConnectionError") as failed:
            await tact.decide(ASK)
    assert "secret" not in str(failed.value)
    assert door.seen == ["good"] * 3


@BOTH
async def test_a_file_is_read_again(kind: str, tmp_path: Path) -> None:
    """A token in a file that something else keeps fresh is read again, at once when the service refuses the old one."""
    file, door = tmp_path / "token", Door({"first"})
    file.write_text("first\n")
    async with standing(door) as target:
        source = TokenFile(file, every_s=60)
        await decided(kind, target, source)
        file.write_text("second\n")
        held = iter([Token("first"), source()])
        door.known = {"second"}
        await decided(kind, target, lambda: next(held))
    assert door.seen == ["first", "first", "second"]


async def test_streams_bring_the_token_too() -> None:
    """Streams say who calls, and are opened again by the next call with another token where it was refused."""
    tokens, door = iter(["old", "new"]), Door({"new"})
    async with standing(door) as target, AsyncClient(target, token=lambda: next(tokens)) as tact:
        with pytest.raises(CallFailed, match="UNAUTHENTICATED"):
            [one async for one in tact.decide_stream([ASK])]
        assert len([one async for one in tact.decide_stream([ASK, ASK])]) == 2
    assert door.seen == ["old", "new"]


@pytest.mark.parametrize("target", ["tact.internal:50051", "10.0.0.1:50051", ("10.0.0.1:1", "10.0.0.2:1")])
def test_a_token_does_not_go_out_in_plaintext(target: str | tuple[str, ...]) -> None:
    """A token for another machine needs TLS, or the word that something else encrypts."""
    with pytest.raises(ValueError, match="for all to read"):
        Client(target, token="secret-token")
    Client(target, token="secret-token", plaintext=True).close()


def test_no_token_is_shown() -> None:
    """Neither a token nor a key stands in what is printed, and one with a line break is refused without being told."""
    shown = repr(Token("secret-token")) + repr(Tls(certificate="c.pem", key="secret.key"))
    assert "secret" not in shown
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        Token("secret\ntoken")
    assert "secret" not in str(refused.value)


async def test_mutual_tls(tmp_path: Path) -> None:
    """Client and service know each other by certificate; a client without one, or of strangers, does not get in."""
    ours, strangers, door = Authority(), Authority("strangers"), Door({"token"})
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    certificate, key = ours.leaf("caller").written(tmp_path, "caller")
    stranger, stranger_key = strangers.leaf("caller").written(tmp_path, "stranger")
    served = ours.leaf("tact", ("tact.internal",))
    credentials = grpc.ssl_server_credentials([(served.key, served.certificate)], ours.pem, True)
    ca, name = tmp_path / "ca.pem", "tact.internal"
    async with standing(door, credentials) as target:
        for kind in ("async", "sync"):
            await decided(kind, target, "token", tls=Tls(ca, certificate, key, name))
        for bad in (Tls(ca, name=name), Tls(ca, stranger, stranger_key, name), Tls(ca, certificate, key)):
            with pytest.raises(CallFailed):
                await decided("async", target, "token", tls=bad, timeout_s=0.15)
    assert door.seen == ["token", "token"]


async def test_the_service_knows_who_is_renewed(tmp_path: Path) -> None:
    """A service with callers takes the client's signed token over TLS, and an expired one is replaced on the way."""
    async with guarded(tmp_path) as world:
        given = iter(
            [world.signer.token(exp=int(time.time()) - 600, tact_role="web"), world.signer.token(tact_role="web")]
        )
        tls = Tls(ca=tmp_path / "ca.pem")
        async with AsyncClient(world.target, tls=tls, token=lambda: next(given), timeout_s=5.0) as tact:
            answer = await tact.decide(question(OWN, "web", ["hero"]))
            assert answer.answers
            with pytest.raises(CallFailed, match="PERMISSION_DENIED"):
                await tact.decide(question("somebody-else", "web", ["hero"]))
        async with AsyncClient(world.target, tls=tls) as nobody:
            with pytest.raises(CallFailed, match="UNAUTHENTICATED"):
                await nobody.decide(question(OWN, "web", ["hero"]))
            assert await nobody.serves()
