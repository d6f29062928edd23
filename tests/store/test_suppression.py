"""The digest of an erased customer: the same under one key, told by nobody without it; and the key shown nowhere."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.store.suppression import ErasureKeyRefused, Suppression, key_in, own_key

KEY = b"an erasure key of the tests, secret"


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_digest_is_that_of_one_customer_and_one_key(one: str, other: str) -> None:
    """The same customer has the same digest in every process; another one, or another key, has another."""
    digest = Suppression(KEY).digest(one)
    assert len(digest) == 16
    assert digest == Suppression(KEY).digest(one)
    assert (digest == Suppression(KEY).digest(other)) == (one == other)
    assert digest != Suppression(KEY + b"!").digest(one)


def test_without_a_key_there_are_no_digests() -> None:
    """Nobody can be erased without a key, and nothing is looked up."""
    assert (Suppression().digest("anna"), Suppression().has_key, Suppression().fingerprint) == (b"", False, b"")
    assert Suppression(KEY).has_key


def test_a_short_key_is_refused_and_no_key_is_shown() -> None:
    """31 bytes are too few; neither the error nor the object tells them."""
    with pytest.raises(ValueError, match="31 bytes; at least 32") as refused:
        Suppression(KEY[:31])
    assert KEY[:31].decode() not in str(refused.value)
    assert KEY.decode() not in repr(Suppression(KEY))
    assert KEY not in Suppression(KEY).fingerprint


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    """White space around it does not count; a file that is not there or too short is refused in words."""
    file = tmp_path / "key"
    file.write_bytes(b"  " + KEY + b"\r\n")
    assert key_in(file) == KEY
    file.write_bytes(b"\n" * 40 + KEY[:31])
    with pytest.raises(ErasureKeyRefused, match="holds 31 bytes; write at least 32") as refused:
        key_in(file)
    assert KEY[:31].decode() not in str(refused.value)
    with pytest.raises(ErasureKeyRefused, match="No such file"):
        key_in(tmp_path / "another")


def test_an_embedded_store_makes_its_own_key_once(tmp_path: Path) -> None:
    """It is random, stays the same, and only its owner can read it; a half written one was never taken for it."""
    (tmp_path / "erasure.new").write_bytes(b"half")
    key = own_key(tmp_path)
    assert len(key) == 64
    assert own_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "erasure.key").stat().st_mode) == 0o600
    (tmp_path / "another").mkdir()
    assert own_key(tmp_path / "another") != key


def test_a_key_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    """Where the folder cannot be written, nothing starts without a key that lasts."""
    with pytest.raises(ErasureKeyRefused, match="cannot be written"):
        own_key(tmp_path / "missing")
    (tmp_path / "erasure.key").write_bytes(b"damaged")
    with pytest.raises(ErasureKeyRefused, match="holds 7 bytes"):
        own_key(tmp_path)
