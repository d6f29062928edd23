"""A real server with TLS and callers of every role, and calls to it that bring whatever a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.rpc.access.gate import Access
from service.rpc.access.who import Role
from service.rpc.callers import CallersFile
from service.rpc.edge import Edge
from service.rpc.methods import CONTRACT
from service.rpc.server import Listen, Server
from service.tls_files import TlsFiles
from tests.edge.access.authority import AUDIENCE, ISSUER, Authority, Leaf, Signer
from tests.rpc.world import Controlling, edge_of

OWN = "customer-1"
UNSERVED = frozenset({"grpc.health.v1.Health/List"})
Metadata = Sequence[tuple[str, str]]


def token_of(role: Role) -> str:
    """Return the token of the caller with a role."""
    return f"{role} has a token of its own, 0123456789"


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return what a call brings with a token."""
    return (("authorization", f"Bearer {token}"),)


def digest(token: str) -> str:
    """Return what a file of callers has of a token."""
    return sha256(token.encode()).hexdigest()


def everybody(more: str = "") -> str:
    """Return a file of callers with one of each role, known by a token, and an issuer of web and desktop callers."""
    rows = [
        f"  - {{name: {role}, role: {role}, token_sha256: {digest(token_of(role))}"
        f"{f', customer: {OWN}' if role is Role.WEB else ''}}}"
        for role in Role
    ]
    issuer = f"  - {{name: login, issuer: '{ISSUER}', audience: {AUDIENCE}, keys: keys.json, roles: [web, desktop]"
    return "\n".join(("callers:", *rows, *more.splitlines(), "issuers:", f"{issuer}, algorithms: [ES256]}}", ""))


@dataclass(frozen=True)
class World:
    """A server with its authority of certificates and its issuer of tokens."""

    target: str
    folder: Path
    authority: Authority
    signer: Signer
    certificate: bytes | None = None

    @asynccontextmanager
    async def channel(self, leaf: Leaf | None = None, trusted: bytes | None = None) -> AsyncIterator[Any]:
        """Yield a channel with a client's certificate, or without one."""
        shown = (leaf.key, leaf.certificate) if leaf else (None, None)
        credentials = grpc.ssl_channel_credentials(trusted or self.authority.pem, *shown)
        async with grpc.aio.secure_channel(self.target, credentials) as channel:
            yield channel


@asynccontextmanager
async def guarded(
    folder: Path, edge: Edge | None = None, *, text: str | None = None, mutual: bool = False
) -> AsyncIterator[World]:
    """Run a server with TLS, callers and reflection on a free port."""
    authority, signer = Authority(), Signer()
    (folder / "keys.json").write_bytes(signer.keys)
    (folder / "callers.yaml").write_text(text or everybody())
    (folder / "ca.pem").write_bytes(authority.pem)
    files = TlsFiles(*authority.leaf("server").written(folder, "server"), folder / "ca.pem" if mutual else None)
    callers = CallersFile(folder / "callers.yaml")
    server = Server(edge or edge_of(), Listen(port=0, reflection=True, tls=files), access=Access(callers))
    server.controlled_by(Controlling())
    port = await server.start()
    await server.announce(serving=True)
    try:
        yield World(f"localhost:{port}", folder, authority, signer)
    finally:
        await server.drain(linger_s=0, grace_s=0)
        callers.close()


def every_method() -> tuple[MethodDescriptor, ...]:
    """Return all methods that the server answers, health and reflection among them, as their descriptors say."""
    return tuple(method for method in _described() if path_of(method) not in UNSERVED)


def unserved_methods() -> tuple[MethodDescriptor, ...]:
    """Return the methods of the standard services that this server has not."""
    return tuple(method for method in _described() if path_of(method) in UNSERVED)


def _described() -> tuple[MethodDescriptor, ...]:
    files: tuple[Any, ...] = (*CONTRACT, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
    return tuple(method for file in files for service in file.services_by_name.values() for method in service.methods)


def path_of(method: MethodDescriptor) -> str:
    """Return the full name of a method."""
    return f"{method.containing_service.full_name}/{method.name}"


async def ended(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    metadata: Metadata = (),
    raw: bytes = b"",
    timeout_s: float = 5.0,
) -> tuple[grpc.StatusCode, str]:
    """Make one call and return how it ended; one that answers has ended as OK."""
    multi = {(a, b): f"{'stream' if a else 'unary'}_{'stream' if b else 'unary'}" for a in (0, 1) for b in (0, 1)}
    kind = multi[bool(method.client_streaming), bool(method.server_streaming)]
    called = getattr(channel, kind)(f"/{path_of(method)}")
    if method.client_streaming:  # nothing is sent: what refuses a stream does so before it reads of it
        call = called(metadata=tuple(metadata), timeout=timeout_s)
        return await call.code(), str(await call.details())
    call = called(raw, metadata=tuple(metadata), timeout=timeout_s)
    try:
        if method.server_streaming:
            async for _ in call:
                call.cancel()
                return grpc.StatusCode.OK, ""
            return await call.code(), str(await call.details())
        await call
        return grpc.StatusCode.OK, ""
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
