"""The keyed digest under which an erased customer stays suppressed: all that the store remembers of them.

Without the key nobody can tell from a digest whose it is, nor try customer ids until one fits; with another key every
digest is another one, and what was erased would be welcome again: the key must outlive the store it belongs to.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from service.store.keys import erasure_key
from service.store.way import Execute

DIGEST_BYTES = 16
LEAST_KEY_BYTES = 32
OWN_KEY = "erasure.key"
_REMEMBERED = 4096


class ErasureKeyRefused(Exception):
    """The erasure key cannot be used: the message says why and what to do, and never shows it."""


class Suppression:
    """Digests customer ids with a secret key; without one every digest is empty and nobody can be erased.

    `digest` returns the 16 bytes that stand for a customer, always the same under one key; b"" without a key.
    """

    __slots__ = ("digest", "fingerprint", "has_key")

    def __init__(self, key: bytes | None = None) -> None:
        """Take a key of at least 32 bytes, or none; raise ValueError, without the key in it, for a shorter one."""
        if key is not None and len(key) < LEAST_KEY_BYTES:
            raise ValueError(f"the erasure key has {len(key)} bytes; at least {LEAST_KEY_BYTES} random ones are needed")
        self.has_key = key is not None
        self.fingerprint = _digest_with(key)("")[:8] if key is not None else b""  # no customer's id is empty
        # No method: a frame less for every decision, twice.
        self.digest: Callable[[str], bytes] = _nothing if key is None else lru_cache(_REMEMBERED)(_digest_with(key))

    def __repr__(self) -> str:
        return f"Suppression({'with' if self.has_key else 'without'} a key)"


def _digest_with(key: bytes) -> Callable[[str], bytes]:
    folded = blake2b(key, digest_size=64, person=b"tact erasure").digest()  # the longest key that blake2b takes
    begun = blake2b(digest_size=DIGEST_BYTES, key=folded, person=b"tact erased")

    def digest(customer: str) -> bytes:
        own = begun.copy()  # in two thirds of the time of beginning anew
        own.update(customer.encode())
        return own.digest()

    return digest


def _nothing(customer: str) -> bytes:
    return b""


def key_in(file: Path) -> bytes:
    """Return the key that a file holds, without white space around it; raise `ErasureKeyRefused` in words."""
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise ErasureKeyRefused(f"{file} ({error.strerror}); name a file that holds the erasure key") from None
    if len(key) < LEAST_KEY_BYTES:
        raise ErasureKeyRefused(
            f"{file} holds {len(key)} bytes; write at least {LEAST_KEY_BYTES} random ones, such as those of "
            "`openssl rand -hex 32`"
        )
    return key


async def suppression_of(key: bytes | None, folder: Path | None, execute: Execute) -> Suppression:
    """Return what keeps erased customers out: with the key that was named, or the own one of an embedded store.

    Raises `ErasureKeyRefused`, and writes nothing, where somebody was erased already and the store's own key is lost.
    """
    if key is not None or folder is None:
        return Suppression(key)
    if not (folder / OWN_KEY).exists() and await execute("GET", erasure_key()) is not None:
        raise ErasureKeyRefused(
            f"{folder / OWN_KEY} is gone, the key under which customers were erased from this store, and they would be "
            "taken in again. Put it back, or name a file that holds the same key with --erasure-key-file."
        )
    return Suppression(own_key(folder))


def own_key(folder: Path) -> bytes:
    """Return the key of an embedded store, which is made when it is first wanted and only its owner can read.

    Call it while the folder is locked. Raises `ErasureKeyRefused` where it cannot be read or written.
    """
    file = folder / OWN_KEY
    if not file.exists():
        new = file.with_suffix(".new")  # half a key must never be taken for one
        try:
            new.unlink(missing_ok=True)
            with open(new, "wb", opener=lambda path, flags: os.open(path, flags | os.O_EXCL, 0o600)) as opened:
                opened.write(secrets.token_hex(LEAST_KEY_BYTES).encode() + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
            new.rename(file)
        except OSError as error:
            raise ErasureKeyRefused(f"{file} cannot be written: {error.strerror}") from None
    return key_in(file)
