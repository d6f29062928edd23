"""TLS from files: bad ones are refused in words, renewed ones count from the next connection on."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from service.errors import CannotListen
from service.rpc.access.tls import TlsRefused, read_pair
from service.rpc.server import Listen, Server
from service.tls_files import TlsFiles
from tests.edge.access.authority import Authority, Leaf
from tests.edge.access.world import ended, every_method, everybody, guarded
from tests.rpc.world import edge_of

CHECK = next(method for method in every_method() if method.name == "Check")


def names_at(certificate: bytes) -> str:
    """Return the common name of a certificate."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate).subject.rfc4514_string()


async def test_a_renewed_certificate_counts_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new pair serves the next connection while the open one goes on; a bad one is refused and logged, never with its
    key, and the last good one goes on.
    """
    async with guarded(tmp_path) as world:
        other = Authority("other")
        async with world.channel() as before:
            assert (await ended(before, CHECK))[0] is grpc.StatusCode.OK
            other.leaf("renewed").written(tmp_path, "server")
            assert (await _reached(world.target, other.pem), await _reached(world.target, world.authority.pem)) == (
                True,
                False,
            )
            assert (await ended(before, CHECK))[0] is grpc.StatusCode.OK
        secret = other.leaf("bad").key
        (tmp_path / "server.key").write_bytes(secret)
        with caplog.at_level(logging.WARNING):
            assert await _reached(world.target, other.pem)
        assert "is not the key of" in caplog.text
        assert secret.decode().splitlines()[1] not in caplog.text
        world.authority.leaf("third").written(tmp_path, "server")
        assert await _reached(world.target, world.authority.pem)


async def _reached(target: str, trusted: bytes) -> bool:
    """Tell whether a new connection that trusts this authority is answered."""
    credentials = grpc.ssl_channel_credentials(trusted)
    alone = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.secure_channel(target, credentials, options=alone) as channel:
        return (await ended(channel, CHECK))[0] is grpc.StatusCode.OK


async def test_a_renewed_authority_counts_for_callers(tmp_path: Path) -> None:
    """With mutual TLS callers of an authority that was taken away do not connect any more."""
    text = everybody("  - {name: mailer, role: email, certificate: mailer.example}")
    async with guarded(tmp_path, mutual=True, text=text) as world:
        mailer = world.authority.leaf("any", ("mailer.example",))
        method = next(method for method in every_method() if method.name == "Decide")
        async with world.channel(mailer) as channel:
            assert (await ended(channel, method))[0] is grpc.StatusCode.INVALID_ARGUMENT  # it is the mailer
        (tmp_path / "ca.pem").write_bytes(Authority("new").pem)
        shown = grpc.ssl_channel_credentials(world.authority.pem, mailer.key, mailer.certificate)
        alone = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.secure_channel(world.target, shown, options=alone) as channel:
            assert (await ended(channel, method))[0] is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o677])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A-11: only the owner may read a key."""
    files = TlsFiles(*Authority().leaf("server").written(tmp_path, "server", mode))
    with pytest.raises(TlsRefused, match="chmod 600"):
        read_pair(files)
    os.chmod(files.key, 0o400)
    assert "PRIVATE" not in repr(read_pair(files))


def test_files_that_are_no_pair_are_refused_in_words(tmp_path: Path) -> None:
    """Nothing there, no PEM, another's key, a key with a password, a certificate that has ended, none that signs."""
    authority = Authority()
    good = authority.leaf("server")
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for number, (leaf, said) in enumerate(
        (
            (Leaf(b"rubbish", good.key), "no certificates"),
            (Leaf(good.certificate, b"rubbish"), "no private key"),
            (Leaf(good.certificate, locked), "without a password"),
            (Leaf(good.certificate, authority.leaf("other").key), "is not the key of"),
            (authority.leaf("old", days=-1), "ended on"),
        )
    ):
        with pytest.raises(TlsRefused, match=said):
            read_pair(TlsFiles(*leaf.written(tmp_path, f"pair-{number}")))
    certificate, key = good.written(tmp_path, "good")
    with pytest.raises(TlsRefused, match="cannot be read"):
        read_pair(TlsFiles(certificate, tmp_path / "none.key"))
    with pytest.raises(TlsRefused, match="no certificates"):
        read_pair(TlsFiles(certificate, key, key))


async def test_no_server_starts_with_a_bad_pair(tmp_path: Path) -> None:
    """What cannot be used is told as a port that cannot be had is."""
    files = TlsFiles(*Authority().leaf("server").written(tmp_path, "server", 0o644))
    with pytest.raises(CannotListen, match="chmod 600"):
        await Server(edge_of(), Listen(port=0, tls=files)).start()
