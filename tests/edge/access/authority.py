"""Certificates and signed tokens that tests make for themselves: good ones, and every bad one an attacker would try."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE, KID = "https://login.example.org/", "tact", "key-1"


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key, as PEM."""

    certificate: bytes
    key: bytes

    def written(self, folder: Path, name: str, mode: int = 0o600) -> tuple[Path, Path]:
        """Write both and return where they are."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        key.chmod(mode)
        return certificate, key


SIGNS = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


class Authority:
    """Signs certificates for this machine."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        built = _builder(self._name, self._name, self._key)
        for extension in (x509.BasicConstraints(ca=True, path_length=None), SIGNS):
            built = built.add_extension(extension, critical=True)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self._certificate = built.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self._certificate.public_bytes(Encoding.PEM)

    def leaf(self, name: str, alternatives: tuple[str, ...] = ("localhost", "127.0.0.1"), days: int = 2) -> Leaf:
        """Sign a certificate; without alternatives it has its common name alone."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(_named(name), self._name, key, days)
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = built.add_extension(signer, critical=False)  # Python 3.13 asks for it
        if alternatives:
            built = built.add_extension(x509.SubjectAlternativeName(list(map(_alternative, alternatives))), False)
        signed = built.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Leaf(signed.public_bytes(Encoding.PEM), pem)


class Signer:
    """Signs tokens, as an issuer does, or as somebody who would like to be one."""

    def __init__(self, kid: str = KID) -> None:
        self.kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def keys(self) -> bytes:
        """The key set of this issuer."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return json.dumps({"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "ES256"}]}).encode()

    def token(self, *, header: dict[str, Any] | None = None, **claims: object) -> str:
        """Sign good claims with these changes; a claim of None is left out."""
        both = {**good_claims(), **claims}
        said = {name: value for name, value in both.items() if value is not None}
        head = {"alg": "ES256", "typ": "JWT", "kid": self.kid, **(header or {})}
        return jwt.api_jws.encode(json.dumps(said).encode(), self._key, "ES256", headers=head)


def good_claims() -> dict[str, Any]:
    """Return claims that are in order for the next minutes."""
    now_s = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "customer-1", "exp": now_s + 600, "iat": now_s, "nbf": now_s}


def unsigned(alg: str = "none", **claims: object) -> str:
    """Return good claims that nobody signed."""
    parts = ({"alg": alg, "typ": "JWT", "kid": KID}, {**good_claims(), **claims})
    return ".".join((*(_packed(json.dumps(part).encode()) for part in parts), ""))


def shared_secret(keys: bytes, **claims: object) -> str:
    """Return good claims signed with the public key as if it were a shared secret."""
    parts = ({"alg": "HS256", "typ": "JWT", "kid": KID}, {**good_claims(), **claims})
    text = ".".join(_packed(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_packed(hmac.digest(keys, text.encode(), 'sha256'))}"


def _packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 2
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
