"""Who calls, and how deep they may see: by the bearer token that they send, of which only a digest is kept.

    callers:
      - {name: web-shop, token_sha256: …, depth: customer}
      - {name: contact-centre, token_sha256: …, depth: agent}
      - {name: compliance, token_sha256: …, depth: auditor}

A caller without a token, or with one that nobody has, sees what customers see. docs/explain.md has the rest.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from models.context import Audience
from models.records import Record, record_of
from models.trees import Budget, Items, Problem, grow
from service.core.explained import Depth
from service.errors import UnknownCaller
from service.telemetry.sampling import CALLER, Caller

log = logging.getLogger(__name__)

LARGEST_FILE = 1_000_000
MOST_NODES = 50_000
LOOKS_EVERY_S = 1.0
"""How long a changed file of callers may go unnoticed, and so a token that was taken away go on."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEADER, _BEARER = "authorization", "bearer "
_Stamp: TypeAlias = tuple[int, int, int, int] | None


class CallersRefused(Exception):
    """A file of callers cannot be used: the message says what is wrong, with its lines, and never what a token is."""


_DEPTHS = {Audience.CUSTOMER: Depth.CUSTOMER, Audience.AGENT: Depth.AGENT, Audience.AUDITOR: Depth.AUDITOR}


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers by the digest of their token. `strangers` is how deep everybody else may see."""

    depths: Mapping[bytes, Depth] = field(default_factory=dict, repr=False)
    strangers: Depth = Depth.CUSTOMER

    def depth(self) -> Depth:
        """Return how deep whoever makes the call at hand may see."""
        token = _token(CALLER.get())
        return self.strangers if token is None else self.depths.get(_digest(token), self.strangers)

    def checked_depth(self) -> Depth:
        """Return the same; raise `UnknownCaller` for a token that nobody has."""
        token = _token(CALLER.get())
        if token is None:
            return self.strangers
        found = self.depths.get(_digest(token))
        if found is None:
            raise UnknownCaller("no caller has this token")
        return found


def read_callers(path: Path) -> Callers:
    """Read a file of callers; raise `CallersRefused` with everything that is wrong with it."""
    problems: list[Problem] = []
    root = grow(path.name, _text(path), Budget(MOST_NODES), problems)
    listed = root.nodes.get("callers") if root else None
    if root is not None and (not isinstance(listed, Items) or set(root.nodes) != {"callers"}):
        problems.append(Problem(path.name, 1, "has one section, `callers`, with a list of them, and no other"))
    found: dict[bytes, Depth] = {}
    taken: dict[str, str] = {}
    for node in listed.nodes if isinstance(listed, Items) else ():
        if record := record_of(node, "caller", problems):
            _read(record, found, taken)
    if problems:
        raise CallersRefused("\n".join(map(str, problems)))
    return Callers(found)


def _read(record: Record, found: dict[bytes, Depth], taken: dict[str, str]) -> None:
    name, depth = record.text("name"), record.choice("depth", Audience)
    if name and name in taken:
        record.refuse(f"the name `{name}` is taken by {taken[name]}; give this caller another", "name")
    taken[name] = record.place
    leaf = record.leaf("token_sha256") if record.has("token_sha256") else None
    digest = leaf.text if leaf else ""
    if not _DIGEST.fullmatch(digest):  # what stands there may be the token itself, and is not told
        record.refuse(
            "`token_sha256` is the SHA-256 of the token: 64 small hexadecimal digits, as `sha256sum` gives them",
            "token_sha256",
        )
    elif bytes.fromhex(digest) in found:
        record.refuse("`token_sha256` is that of another caller; give each a token of its own", "token_sha256")
    elif depth:
        found[bytes.fromhex(digest)] = _DEPTHS[depth]
    record.rest_is_refused()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CallersRefused(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > LARGEST_FILE:
        raise CallersRefused(f"{path}: is larger than {LARGEST_FILE:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CallersRefused(f"{path}: is not UTF-8; save it as UTF-8") from None


class CallersFile:
    """The callers in a file, read again within a second of its change; a bad one is refused, and the last one holds."""

    def __init__(self, path: Path, clock_s: Callable[[], float]) -> None:
        self._path, self._clock_s = path, clock_s
        self._stamp, self._next_s = _stamp(path), clock_s() + LOOKS_EVERY_S
        self._callers = read_callers(path)

    @property
    def now(self) -> Callers:
        """The callers as they stand."""
        now_s = self._clock_s()
        if now_s >= self._next_s:
            self._next_s = now_s + LOOKS_EVERY_S
            self._look()
        return self._callers

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._callers = read_callers(self._path)
        except CallersRefused as refused:
            log.warning("a changed file of callers is refused, the one before goes on: %s", refused)


class SameCallers:
    """Callers that stay as they are."""

    def __init__(self, callers: Callers) -> None:
        self.now = callers


def callers_of(file: Path | None, host: str) -> CallersFile | SameCallers | None:
    """Return who calls a service that listens on a host; None where everybody sees everything, which costs nothing.

    Without a file that is so where it listens on its own machine only: a proxy on it makes every caller look near, so
    it is not asked where a call comes from. Raises `CallersRefused`.
    """
    if file is not None:
        return CallersFile(file, monotonic)
    return None if _is_loopback(host) else SameCallers(Callers())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _stamp(path: Path) -> _Stamp:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _token(call: Caller | None) -> str | None:
    """Return the bearer token that a call brings; None for none."""
    for name, value in (call.invocation_metadata() or ()) if call is not None else ():
        if name == _HEADER and isinstance(value, str) and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
    return None


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()
