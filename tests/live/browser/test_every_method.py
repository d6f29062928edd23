"""Every method of the contract, by the port for browsers, refuses every identity that is none, or not one for it."""

from __future__ import annotations

import ssl
from itertools import product
from pathlib import Path

import grpc
import pytest

from service.rpc.access.roles import METHODS
from service.rpc.access.who import Role
from tests.edge.access.authority import Authority
from tests.edge.access.test_every_method import BAD
from tests.edge.access.world import bearer, digest, ended, path_of, token_of
from tests.live.browser.world import FORMS, Answered, Wire, framed, opened, request, trusting
from tests.profile import full
from tests.rpc.messages import METHODS as CONTRACT

DECIDE = "tact.v1.DecisionService/Decide"
STREAMS = ("application/connect+json", "application/connect+proto", *FORMS[2:])


def forms(streams: bool) -> tuple[str, ...]:
    """Return how a method may be called; in the short profile by one form of Connect and one of gRPC-Web."""
    every = STREAMS if streams else FORMS
    return every if full() else (every[0], "application/grpc-web+proto")


def sent(form: str) -> bytes:
    """Return an empty message in a form."""
    empty = b"{}" if form.endswith("json") else b""
    return empty if form in FORMS[:2] else framed(empty)


async def test_who_has_no_rights_sees_nothing(tmp_path: Path) -> None:
    """Each method answers each bad identity with the same words and no message, in every form; nobody is let in."""
    accepted, texts, tried = [], set(), 0
    async with opened(tmp_path) as port, port.wire() as wire:
        for method, (name, brings) in product(CONTRACT, BAD.items()):
            given = brings(port.grpc)
            for form in forms(method.client_streaming or method.server_streaming):
                answer = await call(wire, path_of(method), form, given)
                tried += 1
                texts.add(answer.ended[1])
                if answer.ended[0] != "unauthenticated" or (form not in FORMS[:2] and answer.messages):
                    accepted.append((path_of(method), form, name, answer.status, answer.ended))
    print(f"\n{len(CONTRACT)} methods, {len(BAD)} bad identities, {tried} calls, {len(accepted)} accepted")
    assert not accepted
    assert len(texts) == 1


@pytest.mark.parametrize("form", FORMS)
async def test_a_stranger_is_not_read(tmp_path: Path, form: str) -> None:
    """What is wrong with the message of who may not come in is not told: it is not parsed, JSON no more than bytes."""
    broken = b'{"customerId": ' if form.endswith("json") else b"\xff" * 30
    async with opened(tmp_path) as port:
        said = await port.call(DECIDE, broken if form in FORMS[:2] else framed(broken), form)
    assert said.ended[0] == "unauthenticated"


async def test_no_method_takes_another_role(tmp_path: Path) -> None:
    """A caller who is known may do by this port what it may do by that of gRPC: each method with each role."""
    wrong, tried = [], 0
    async with opened(tmp_path) as port, port.wire() as wire:
        for method, role in product(CONTRACT, Role):
            may = role in METHODS[path_of(method)]
            for form in forms(method.client_streaming or method.server_streaming):
                token = (("authorization", f"Bearer {token_of(role)}"), ("connect-timeout-ms", "300"))
                answer = await call(wire, path_of(method), form, (*token, ("grpc-timeout", "300m")))
                tried += 1
                if (answer.ended[0] == "permission_denied") is may or answer.ended[0] == "unauthenticated":
                    wrong.append((path_of(method), form, role, answer.ended))
    print(f"\n{len(CONTRACT)} methods, {len(Role)} roles, {tried} calls, {len(wrong)} answered wrongly")
    assert not wrong


async def call(wire: Wire, path: str, form: str, given: tuple[tuple[str, str], ...]) -> Answered:
    """Make one call that brings what it likes, the same header twice if need be."""
    head, _, body = request(path, sent(form), form).partition(b"\r\n\r\n")
    await wire.send(b"\r\n".join([head, *(f"{name}: {value}".encode() for name, value in given), b"", body]))
    return await wire.answer()


async def test_a_certificate_says_who_calls(tmp_path: Path) -> None:
    """With mutual TLS a browser is known by its certificate, as a caller of gRPC is; without one none comes in."""
    mailer = "  - {name: mailer, role: email, certificate: mailer.example}"
    async with opened(tmp_path, tls=True, mutual=True, more=mailer) as port:
        known = port.grpc.authority.leaf("any", ("mailer.example",))
        assert "max-age" in (await port.call(DECIDE, leaf=known)).headers["strict-transport-security"]
        assert (await port.call(DECIDE, leaf=known)).ended[0] == "invalid_argument"  # it may ask, and asks for nothing
        assert (await port.call(DECIDE, leaf=port.grpc.authority.leaf("stranger"))).ended[0] == "unauthenticated"
        with pytest.raises((OSError, EOFError)):
            await port.call(DECIDE)
        with pytest.raises((OSError, EOFError)):
            await port.call(DECIDE, leaf=Authority("foreign").leaf("any", ("mailer.example",)))


async def test_a_renewed_certificate_counts_without_a_restart(tmp_path: Path) -> None:
    """A new pair serves the next connection; a bad one is refused, and the last good one goes on."""
    async with opened(tmp_path, tls=True) as port:
        assert (await port.call(DECIDE)).ended[0] == "unauthenticated"
        other = Authority("other")
        other.leaf("renewed").written(tmp_path, "server")
        with pytest.raises(ssl.SSLCertVerificationError):
            await port.call(DECIDE)
        port.context = trusting(other, tmp_path)
        assert (await port.call(DECIDE)).ended[0] == "unauthenticated"
        (tmp_path / "server.key").write_bytes(other.leaf("bad").key)
        assert (await port.call(DECIDE)).ended[0] == "unauthenticated"


async def test_quotas_are_one_for_both_ports(tmp_path: Path) -> None:
    """What a caller asked for here counts there: it is told how long to wait, in Connect's way and in gRPC's."""
    slow = f"  - {{name: slow, role: email, token_sha256: {digest('slow')}, calls_per_s: 0.1}}"
    decide = next(method for method in CONTRACT if method.name == "Decide")
    async with opened(tmp_path, tls=True, more=slow) as port, port.grpc.channel() as channel:
        assert (await port.call(DECIDE, authorization="Bearer slow")).ended[0] == "invalid_argument"
        said = await port.call(DECIDE, authorization="Bearer slow")
        assert (said.status, said.ended[0]) == (429, "resource_exhausted")
        assert 1_000 < int(said.headers["trailer-grpc-retry-pushback-ms"]) <= 10_000
        said = await port.call(DECIDE, framed(b""), "application/grpc-web", authorization="Bearer slow")
        assert said.ended[0] == "resource_exhausted"
        assert b"grpc-retry-pushback-ms: " in said.body or "grpc-retry-pushback-ms" in said.headers
        assert (await ended(channel, decide, bearer("slow")))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
