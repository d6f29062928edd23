"""Every method of the service, found from the descriptors, refuses every identity that is none, or not one for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from service.rpc.access.roles import METHODS, OPEN, check_table
from service.rpc.access.who import Role
from service.rpc.methods import CONTRACT, methods_in
from tests.edge.access.authority import Authority, Signer, shared_secret, unsigned
from tests.edge.access.world import World, bearer, ended, every_method, guarded, path_of, token_of, unserved_methods

UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
LONG_AGO = int(time.time()) - 3600
AGENT: dict[str, Any] = {"tact_role": "desktop"}
BAD: dict[str, Callable[[World], tuple[tuple[str, str], ...]]] = {
    "none": lambda _: (),
    "an empty token": lambda _: (("authorization", "Bearer "),),
    "an empty header": lambda _: (("authorization", ""),),
    "an unknown token": lambda _: bearer("nobody's token"),
    "an expired one": lambda world: bearer(world.signer.token(**AGENT, exp=LONG_AGO)),
    "one not valid yet": lambda world: bearer(world.signer.token(**AGENT, nbf=int(time.time()) + 3600)),
    "one from the future": lambda world: bearer(world.signer.token(**AGENT, iat=int(time.time()) + 3600)),
    "one that ends never": lambda world: bearer(world.signer.token(**AGENT, exp=None)),
    "alg none": lambda _: bearer(unsigned(**AGENT)),
    "alg None": lambda _: bearer(unsigned("None", **AGENT)),
    "no signature": lambda _: bearer(unsigned("ES256", **AGENT)),
    "the public key as a secret": lambda world: bearer(shared_secret(world.signer.keys, **AGENT)),
    "a wrong audience": lambda world: bearer(world.signer.token(**AGENT, aud="another")),
    "no audience": lambda world: bearer(world.signer.token(**AGENT, aud=None)),
    "another issuer": lambda world: bearer(world.signer.token(**AGENT, iss="https://evil.example/")),
    "a foreign key": lambda _: bearer(Signer().token(**AGENT)),
    "an unknown key": lambda _: bearer(Signer("key-2").token(**AGENT)),
    "a key of its own": lambda world: bearer(world.signer.token(header={"jwk": {}, "kid": "key-9"}, **AGENT)),
    "a role that is not given": lambda world: bearer(world.signer.token(tact_role="privacy_officer")),
    "no role": lambda world: bearer(world.signer.token()),
    "no customer": lambda world: bearer(world.signer.token(tact_role="web", sub="")),
    "a changed signature": lambda world: bearer(world.signer.token(**AGENT)[:-6] + "AAAAAA"),
    "another scheme": lambda _: (("authorization", f"Basic {token_of(Role.DESKTOP)}"),),
    "two tokens": lambda _: (*bearer(token_of(Role.DESKTOP)), *bearer(token_of(Role.PRIVACY_OFFICER))),
    "garbage": lambda _: bearer("a.b.c"),
    "much": lambda _: bearer("x." * 900),
}
"""What an attacker brings, by the one thing that is wrong with it."""


@pytest.fixture(scope="module")
def methods() -> tuple[MethodDescriptor, ...]:
    """Return all methods."""
    return every_method()


@asynccontextmanager
async def attacked(folder: Path) -> AsyncIterator[tuple[World, grpc.aio.Channel]]:
    """Yield a server and a channel to it."""
    async with guarded(folder) as world, world.channel() as channel:
        yield world, channel


async def test_no_method_takes_a_bad_identity(tmp_path: Path, methods: tuple[MethodDescriptor, ...]) -> None:
    """A-1, A-2: each method, health and reflection among them, answers each bad identity with the same words; only the
    check of health, which tells nothing, is open.
    """
    accepted, texts, tried = [], set(), 0
    async with attacked(tmp_path) as (world, channel):
        for method, (name, brings) in product(methods, BAD.items()):
            if path_of(method) in OPEN:
                continue
            code, text = await ended(channel, method, brings(world))
            tried += 1
            texts.add(text)
            if code is not UNAUTHENTICATED:
                accepted.append((path_of(method), name, code, text))
    print(f"\n{len(methods)} methods, {len(BAD)} bad identities, {tried} calls, {len(accepted)} accepted")
    assert not accepted
    assert len(texts) == 1
    assert tried == (len(methods) - 1) * len(BAD)


async def test_no_method_takes_another_role(tmp_path: Path, methods: tuple[MethodDescriptor, ...]) -> None:
    """A caller who is known does what its role may, and nothing else: each method with each role, as the table says."""
    wrong, texts, tried = [], set(), 0
    async with attacked(tmp_path) as (_, channel):
        for method, role in product(methods, Role):
            may, open_ = role in METHODS[path_of(method)], path_of(method) in OPEN
            code, text = await ended(channel, method, bearer(token_of(role)), b"", 0.2 if may else 5.0)
            tried += 1
            if not may:
                texts.add(text)
            if (code is DENIED) is (may or open_) or code is UNAUTHENTICATED:
                wrong.append((path_of(method), role, code, text))
    print(f"\n{len(methods)} methods, {len(Role)} roles, {tried} calls, {len(wrong)} answered wrongly")
    assert not wrong
    assert len(texts) == 1


async def test_the_handshake_ends_where_the_certificate_is_wrong(
    tmp_path: Path, methods: tuple[MethodDescriptor, ...]
) -> None:
    """A-1: with mutual TLS a caller without a certificate, with a foreign one, or without TLS reaches no method."""
    accepted, tried = [], 0
    async with guarded(tmp_path, mutual=True) as world:
        foreign = Authority("foreign").leaf("desktop")
        async with (
            world.channel() as none,
            world.channel(foreign) as wrong,
            world.channel(trusted=Authority().pem) as elsewhere,
            grpc.aio.insecure_channel(world.target) as plain,
            world.channel(world.authority.leaf("anybody")) as good,
        ):
            assert (await ended(good, methods[0]))[0] is UNAUTHENTICATED  # it is let in, and is nobody
            for method, (name, channel) in product(
                methods, {"none": none, "foreign": wrong, "another server": elsewhere, "no TLS": plain}.items()
            ):
                code, _ = await ended(channel, method, bearer(token_of(Role.PRIVACY_OFFICER)))
                tried += 1
                if code is not grpc.StatusCode.UNAVAILABLE:
                    accepted.append((path_of(method), name, code))
    print(f"\n{len(methods)} methods, 4 bad connections, {tried} calls, {len(accepted)} accepted")
    assert not accepted


async def test_the_check_of_health_is_all_that_is_open(tmp_path: Path, methods: tuple[MethodDescriptor, ...]) -> None:
    """Without any identity exactly one method answers."""
    async with attacked(tmp_path) as (_, channel):
        answered = {path_of(m) for m in methods if (await ended(channel, m))[0] is not UNAUTHENTICATED}
        for method in unserved_methods():
            assert (await ended(channel, method))[0] is grpc.StatusCode.UNIMPLEMENTED
    assert answered == {"grpc.health.v1.Health/Check"} == set(OPEN)


def test_a_method_that_nobody_was_named_for_keeps_the_service_from_starting() -> None:
    """A new method without a line in the table is a mistake that no start survives; so is a line without a method."""
    names = tuple(methods_in(CONTRACT))
    check_table(names)
    with pytest.raises(RuntimeError, match=r"no role may call .*/Guess"):
        check_table((*names, "tact.v1.DecisionService/Guess"))
    with pytest.raises(RuntimeError, match=r"there is no .*/ReadAudit any more"):
        check_table(name for name in names if not name.endswith("ReadAudit"))


async def test_the_good_ones_are_taken(tmp_path: Path, methods: tuple[MethodDescriptor, ...]) -> None:
    """What the bad ones get wrong is all that is wrong with them: with it right they are let in."""
    decide = next(method for method in methods if method.name == "Decide")
    async with attacked(tmp_path) as (world, channel):
        for metadata in (bearer(world.signer.token(**AGENT)), bearer(token_of(Role.DESKTOP))):
            assert (await ended(channel, decide, metadata))[0] is grpc.StatusCode.INVALID_ARGUMENT
