"""The public keys that signed tokens are checked with: a JWK set in a file, or at a URL that is read in the background.

A key set that cannot be had, or is bad, changes nothing: the last good one goes on. What reads keys is loaded where a
set is read: it takes 10 MB, which a service without signed tokens and TLS does without.
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread, Timer
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec

from service.guarded import is_loopback

if TYPE_CHECKING:
    import jwt

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""All that are taken: each has a key that only the issuer can sign with. Shared secrets and `none` are not there."""

LARGEST_SET = 262_144
MOST_KEYS = 100
LEAST_RSA_BITS = 2_048
LOOKS_EVERY_S = 1.0
FETCHES_EVERY_S = 300.0
AGAIN_AFTER_S = 10.0
"""How soon a set is fetched again that could not be had, or of which a token names a key that is not in it."""
WITHIN_S = 5.0
"""How long one fetch may take, and how long a start waits for the first."""
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_SIGNS = ("sig", None)


class KeysRefused(Exception):
    """A key set cannot be used: the message says why and tells nothing of the keys."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public keys by their id, as the set writes them; each is made ready once for an algorithm."""

    keys: Mapping[str, Mapping[str, Any]]
    _ready: dict[tuple[str, str], jwt.PyJWK] = field(default_factory=dict, repr=False, compare=False)

    def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key that a token was signed with, as it says; None where there is none of that kind."""
        name = next(iter(self.keys)) if kid is None and len(self.keys) == 1 else kid or ""
        if (ready := self._ready.get((name, algorithm))) is not None:
            return ready
        found = self.keys.get(name)
        if found is None or found.get("kty") != _KINDS[algorithm[:2]] or found.get("alg", algorithm) != algorithm:
            return None
        import jwt

        ready = self._ready[name, algorithm] = jwt.PyJWK.from_dict(dict(found), algorithm=algorithm)
        return ready


NO_KEYS = KeySet({})


def read_keys(content: bytes) -> KeySet:
    """Read a JWK set; raise `KeysRefused`. Keys that do not sign, or that are secrets, are refused or left out."""
    try:
        listed = msgspec.json.decode(content).get("keys")
        keys = [key for key in listed if key.get("use") in _SIGNS]
    except (msgspec.MsgspecError, AttributeError, RecursionError, TypeError):
        raise KeysRefused('it is no JWK set: write {"keys": [...]} as JSON') from None
    if not 1 <= len(keys) <= MOST_KEYS:
        raise KeysRefused(f"it has {len(keys)} keys that sign; it needs 1 to {MOST_KEYS}")
    found: dict[str, Mapping[str, Any]] = {}
    for place, key in enumerate(keys):
        if not _usable(key, place):
            continue
        kid = key.get("kid", "")
        if kid in found:
            raise KeysRefused(f"keys[{place}] has the `kid` of another; give each its own")
        found[kid] = key
    if not found:
        raise KeysRefused("none of its keys is one of RSA, EC or OKP that can be read")
    return KeySet(found)


def _usable(key: Mapping[str, Any], place: int) -> bool:
    """Tell whether a key can be used; others are left out (RFC 7517, section 5), secrets and weak ones refused."""
    if key.get("kty") == "oct" or {"d", "k", "p", "q"}.intersection(key):
        raise KeysRefused(f"keys[{place}] holds a secret, which has no place in a key set")
    if key.get("kty") not in _KINDS.values() or not isinstance(key.get("kid", ""), str):
        return False
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        read = jwt.PyJWK.from_dict(dict(key)).key
    except (jwt.PyJWTError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return False
    if isinstance(read, rsa.RSAPublicKey) and read.key_size < LEAST_RSA_BITS:
        raise KeysRefused(f"keys[{place}] has {read.key_size} bits; {LEAST_RSA_BITS} are the least")
    return True


class KeySource(Protocol):
    """Where keys come from."""

    @property
    def now(self) -> KeySet:
        """The keys as they stand."""
        ...

    def missed(self) -> None:
        """Be told that a token names a key that is not there."""
        ...

    def close(self) -> None:
        """End what is done in the background."""
        ...


class KeyFile:
    """A key set in a file, read again within a second of its change."""

    def __init__(self, path: Path, clock_s: Callable[[], float] = monotonic) -> None:
        self._path, self._clock_s = path, clock_s
        self._stamp, self._next_s = stamp_of(path), clock_s() + LOOKS_EVERY_S
        self._keys = read_keys(_content(path))

    @property
    def now(self) -> KeySet:
        """See `KeySource`."""
        now_s = self._clock_s()
        if now_s >= self._next_s:
            self._next_s = now_s + LOOKS_EVERY_S
            stamp = stamp_of(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._read()
        return self._keys

    def _read(self) -> None:
        try:
            self._keys = read_keys(_content(self._path))
        except KeysRefused as refused:
            log.warning("a changed key set is refused, the one before goes on: %s: %s", self._path, refused)

    def missed(self) -> None:
        """See `KeySource`."""

    def close(self) -> None:
        """See `KeySource`."""


class KeyUrl:
    """A key set at a URL, fetched in a thread of its own; `wait_s` bounds how long whoever makes it waits for it."""

    def __init__(self, url: str, every_s: float = FETCHES_EVERY_S, wait_s: float = WITHIN_S) -> None:
        self._parts = key_url(url)
        self._every_s, self._keys = every_s, NO_KEYS
        self._ended, self._wanted, self._first = Event(), Event(), Event()
        Thread(target=self._run, name="key set", daemon=True).start()
        self._first.wait(wait_s)

    @property
    def now(self) -> KeySet:
        """See `KeySource`."""
        return self._keys

    def missed(self) -> None:
        """See `KeySource`."""
        self._wanted.set()

    def close(self) -> None:
        """See `KeySource`."""
        self._ended.set()
        self._wanted.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._keys = read_keys(fetched(self._parts))
                there = True
            except KeysRefused as refused:
                log.warning("the key set at %s is not there: %s; what was there before goes on", self._where, refused)
                there = False
            except Exception as error:  # noqa: BLE001 - a thread that ends would never fetch again
                log.error("the key set at %s could not be fetched: %s", self._where, type(error).__name__)
                there = False
            self._first.set()
            self._wanted.clear()
            self._ended.wait(min(AGAIN_AFTER_S, self._every_s))
            if there:
                self._wanted.wait(max(0.0, self._every_s - AGAIN_AFTER_S))

    @property
    def _where(self) -> str:
        return f"{self._parts.scheme}://{self._parts.hostname}"


def key_url(url: str) -> SplitResult:
    """Take a URL of keys apart; raise `KeysRefused` where others on the way could put keys of their own there."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise KeysRefused("it is no URL") from None
    if parts.username is not None or not host:
        raise KeysRefused("it is no URL of a host alone: leave out names and passwords")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise KeysRefused("write https://…; http is good for this machine only")
    return parts


def fetched(parts: SplitResult) -> bytes:
    """Return what stands at a URL; raise `KeysRefused` where it is not there in time, is elsewhere, or too long."""
    host, path = parts.hostname or "", f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=WITHIN_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=WITHIN_S)
    late = Event()
    try:
        connection.connect()
        # A timeout of sockets bounds each read, and not all of them together.
        cut = Timer(WITHIN_S, _cut, (connection.sock, late))
        cut.daemon = True
        cut.start()
        try:
            return _answer(connection, path, late)
        finally:
            cut.cancel()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise KeysRefused(f"it does not answer in time and as it should ({type(error).__name__})") from None
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection, path: str, late: Event) -> bytes:
    connection.request("GET", path, headers={"Accept": "application/json"})
    answer = connection.getresponse()
    if answer.status != http.HTTPStatus.OK:
        raise KeysRefused(f"it answers with status {answer.status}")
    content = _bounded(answer.read(LARGEST_SET + 1))
    if late.is_set():
        raise KeysRefused(f"it takes longer than {WITHIN_S:.0f} s")
    return content


def _cut(connected: socket.socket, late: Event) -> None:
    late.set()
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _bounded(content: bytes) -> bytes:
    if len(content) > LARGEST_SET:
        raise KeysRefused(f"it is larger than {LARGEST_SET:,} bytes")
    return content


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(LARGEST_SET + 1))
    except OSError as error:
        raise KeysRefused(f"it cannot be read ({error.strerror})") from None


def stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """Return what changes with a file; None where there is none."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
