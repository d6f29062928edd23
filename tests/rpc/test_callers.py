"""Who calls is known by a token, and how deep they may see follows from that; a file of callers says who there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from service.core.explained import Depth
from service.errors import UnknownCaller
from service.rpc.callers import (
    LARGEST_FILE,
    Callers,
    CallersFile,
    CallersRefused,
    SameCallers,
    callers_of,
    read_callers,
)
from service.telemetry.sampling import CALLER

TOKEN = "the contact centre's own token"
DIGEST = sha256(TOKEN.encode()).hexdigest()
OTHER = sha256(b"another").hexdigest()
GOOD = f"callers:\n  - {{name: desk, token_sha256: {DIGEST}, depth: agent}}\n"


class Called:
    """A call with some metadata."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what the caller sent."""
        return self._metadata

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...], /) -> None:
        """Tell nothing."""


@contextmanager
def called(*metadata: tuple[str, str | bytes]) -> Iterator[None]:
    """Answer a call with this metadata."""
    before = CALLER.set(Called(*metadata))
    try:
        yield
    finally:
        CALLER.reset(before)


def written(folder: Path, text: str | bytes) -> Path:
    """Write a file of callers."""
    path = folder / "callers.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("metadata", "depth"),
    [
        ((("authorization", f"Bearer {TOKEN}"),), Depth.AGENT),
        ((("x", "y"), ("authorization", f"bearer  {TOKEN} ")), Depth.AGENT),
        ((("authorization", f"Bearer {TOKEN}x"),), Depth.CUSTOMER),
        ((("authorization", f"Basic {TOKEN}"),), Depth.CUSTOMER),
        ((("authorization", TOKEN),), Depth.CUSTOMER),
        ((("authorization", b"Bearer bytes"),), Depth.CUSTOMER),
        ((("authorization", "Bearer "),), Depth.CUSTOMER),
        ((("authorization", "Bearer \udcff"),), Depth.CUSTOMER),
        ((), Depth.CUSTOMER),
    ],
)  # fmt: skip
def test_a_token_says_how_deep(tmp_path: Path, metadata: tuple[tuple[str, str | bytes], ...], depth: Depth) -> None:
    """Who sends a caller's token sees as deep as that caller; everybody else sees what customers see."""
    callers = read_callers(written(tmp_path, GOOD))
    with called(*metadata):
        assert callers.depth() is depth


def test_a_token_that_nobody_has_is_refused_where_nothing_else_is_asked(tmp_path: Path) -> None:
    """An explanation is not given to a wrong token; without a token it is given as customers get it."""
    callers = read_callers(written(tmp_path, GOOD))
    with called(("authorization", "Bearer wrong")), pytest.raises(UnknownCaller):
        callers.checked_depth()
    with called():
        assert callers.checked_depth() is Depth.CUSTOMER
    with called(("authorization", f"Bearer {TOKEN}")):
        assert callers.checked_depth() is Depth.AGENT


def test_no_token_is_in_what_is_printed(tmp_path: Path) -> None:
    """Callers do not print what their tokens are known by."""
    assert DIGEST not in repr(read_callers(written(tmp_path, GOOD)))


BAD = {
    "no section": "people: []\n",
    "another section": GOOD + "people: []\n",
    "no list": "callers: desk\n",
    "no mapping": "callers: [desk]\n",
    "no name": f"callers: [{{token_sha256: {DIGEST}, depth: agent}}]\n",
    "no depth": f"callers: [{{name: desk, token_sha256: {DIGEST}}}]\n",
    "no such depth": f"callers: [{{name: desk, token_sha256: {DIGEST}, depth: boss}}]\n",
    "no token": "callers: [{name: desk, depth: agent}]\n",
    "the token itself": f"callers: [{{name: desk, token_sha256: {TOKEN!r}, depth: agent}}]\n".replace('"', "'"),
    "a short digest": f"callers: [{{name: desk, token_sha256: {DIGEST[:-1]}, depth: agent}}]\n",
    "a name twice": GOOD + f"  - {{name: desk, token_sha256: {OTHER}, depth: agent}}\n",
    "a token twice": GOOD + f"  - {{name: shop, token_sha256: {DIGEST}, depth: customer}}\n",
    "a key too many": GOOD.replace("depth", "owner: me, depth"),
    "no YAML": "callers: [",
    "an alias": "callers: &a []\nmore: *a\n",
    "empty": "",
    "no text": b"\xff\xfe",
    "too large": b"#" * (LARGEST_FILE + 1),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_file_that_is_wrong_is_refused_in_words(tmp_path: Path, text: str | bytes) -> None:
    """What cannot be used is refused with its file, and what may be a token is never told."""
    with pytest.raises(CallersRefused) as refused:
        read_callers(written(tmp_path, text))
    assert "callers.yaml" in str(refused.value)
    assert "contact centre" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """No service starts with a file of callers that it cannot read."""
    with pytest.raises(CallersRefused, match="cannot be read"):
        callers_of(tmp_path / "none.yaml", "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "sees"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("localhost", None),
        ("0.0.0.0", Depth.CUSTOMER),  # noqa: S104 - only a name here
        ("tact.example", Depth.CUSTOMER),
    ],
)
def test_without_a_file_only_its_own_machine_sees_everything(host: str, sees: Depth | None) -> None:
    """A service that others can reach tells them what customers are told, until a file says who they are."""
    found = callers_of(None, host)
    if sees is None:
        assert found is None
    else:
        assert isinstance(found, SameCallers)
        assert found.now == Callers(strangers=sees)


def test_a_changed_file_counts_within_a_second(tmp_path: Path) -> None:
    """A token that is taken away counts no more from the next look on; a bad file changes nothing, nor does none."""
    now_s = [0.0]
    path = written(tmp_path, GOOD)
    file = CallersFile(path, lambda: now_s[0])
    with called(("authorization", f"Bearer {TOKEN}")):
        written(tmp_path, GOOD.replace("agent", "auditor") + "# longer\n")
        assert file.now.depth() is Depth.AGENT
        now_s[0] = 1.0
        assert file.now.depth() is Depth.AUDITOR
        for text in (b"\xff", None, GOOD.replace(DIGEST, OTHER)):
            path.unlink() if text is None else written(tmp_path, text)
            now_s[0] += 1.0
            depth = file.now.depth()
            assert depth is (Depth.CUSTOMER if isinstance(text, str) else Depth.AUDITOR)
