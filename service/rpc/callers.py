"""The file of callers: who there is, known by a token of which a digest is kept, by a certificate, or by an issuer.

    callers:
      - {name: contact-centre, role: desktop, token_sha256: …}
      - {name: mailer, role: email, certificate: mailer.example.org}
    issuers:
      - {name: login, issuer: https://login.example.org/, audience: tact, keys: keys.json, roles: [web]}

docs/access.md says what each key means.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Thread
from time import monotonic, time

from models.bounds import CUSTOMER_BYTES, wrong_name
from models.records import Record, record_of
from models.shapes import NAME, Text
from models.trees import Budget, Items, Problem, grow
from models.trees import Mapping as Tree
from service.rpc.access.bounds import read_bounds
from service.rpc.access.issuers import Sources, read_issuer
from service.rpc.access.keys import stamp_of
from service.rpc.access.roles import MEANS
from service.rpc.access.signed import Issuer, SignedTokens
from service.rpc.access.who import Caller, Role

log = logging.getLogger(__name__)

LARGEST_FILE = 1_000_000
MOST_NODES = 50_000
LOOKS_EVERY_S = 1.0
"""How long a changed file of callers may go unnoticed, and so a token that was taken away go on."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OF_NOTHING = frozenset({sha256(b"").digest()})
_SECTIONS = ("callers", "issuers")


class CallersRefused(Exception):
    """A file of callers cannot be used: the message says what is wrong, with its lines, and never what a token is."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers by the digest of their token, by a name in their certificate, and by the tokens that issuers sign."""

    tokens: Mapping[bytes, Caller] = field(default_factory=dict, repr=False)
    certificates: Mapping[str, Caller] = field(default_factory=dict)
    signed: SignedTokens = field(default_factory=lambda: SignedTokens((), time), repr=False)

    def by_token(self, token: str) -> Caller | None:
        """Return whose token it is; None for nobody's.

        It is looked up by its digest, so how long that takes says nothing of how much of a token was right.
        """
        if not token:
            return None
        found = self.tokens.get(sha256(token.encode(errors="surrogateescape")).digest())
        return found or self.signed.caller(token)

    def by_certificate(self, names: tuple[str, ...]) -> Caller | None:
        """Return who is called one of the names of a certificate; None for nobody, and for more than one."""
        found = {caller.identity: caller for name in names if (caller := self.certificates.get(name)) is not None}
        return next(iter(found.values())) if len(found) == 1 else None


@dataclass(slots=True)
class _Reading:
    """What was found in a file so far, and by what its names and tokens are taken."""

    problems: list[Problem]
    tokens: dict[bytes, Caller] = field(default_factory=dict)
    certificates: dict[str, Caller] = field(default_factory=dict)
    issuers: list[Issuer] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)


def read_callers(path: Path, sources: Sources | None = None, wall_s: Callable[[], float] = time) -> Callers:
    """Read a file of callers; raise `CallersRefused` with everything that is wrong with it."""
    sources = sources or Sources(path.parent)
    problems: list[Problem] = []
    found = _Reading(problems)
    root = grow(path.name, _text(path), Budget(MOST_NODES, quoted=False), problems)
    for record in _records(root, path.name, "callers", "caller", problems):
        _read(record, found)
    for record in _records(root, path.name, "issuers", "issuer", problems):
        if issuer := read_issuer(record, sources, found.taken):
            found.issuers.append(issuer)
    if problems:
        sources.forget()
        raise CallersRefused("\n".join(map(str, sorted(problems))))
    sources.settle()
    return Callers(found.tokens, found.certificates, SignedTokens(tuple(found.issuers), wall_s))


def _records(root: Tree | None, file: str, section: str, what: str, problems: list[Problem]) -> tuple[Record, ...]:
    if root is None:
        return ()
    if section == _SECTIONS[0] and not 0 < len(set(root.nodes)) == len(set(root.nodes).intersection(_SECTIONS)):
        problems.append(Problem(file, 1, "has the sections `callers` and `issuers`, one of them or both, and no other"))
    listed = root.nodes.get(section)
    if listed is not None and not isinstance(listed, Items):
        problems.append(Problem(file, listed.line, f"`{section}` is no list; write each {what} after a dash"))
    nodes = listed.nodes if isinstance(listed, Items) else ()
    return tuple(record for node in nodes if (record := record_of(node, what, problems)))


def _read(record: Record, found: _Reading) -> None:
    name, role = record.text("name", None, NAME), record.choice("role", Role)
    if f"name {name}" in found.taken:
        record.refuse(f"the name is taken by {found.taken[f'name {name}']}; give this caller another", "name")
    found.taken[f"name {name}"] = record.place
    bounds = read_bounds(record, (role,) if role else ())
    customer = _customer(record, role)
    digest, certificate = _digest(record), _certificate(record)
    if record.has("token_sha256") == record.has("certificate"):
        record.refuse("a caller has either a `token_sha256` or a `certificate`, by which it is known")
    record.rest_is_refused()
    if role is None:
        return
    means = MEANS[role]
    caller = Caller(
        name=name, role=role, customer=customer, identity=f"listed\0{name}",
        channels=means.channels if bounds.channels is None else bounds.channels,
        depth=means.depth if bounds.depth is None else bounds.depth,
        calls_per_s=bounds.calls_per_s or means.calls_per_s,
        customers_per_hour=bounds.customers_per_hour or means.customers_per_hour,
    )  # fmt: skip
    if digest in found.tokens:
        record.refuse("`token_sha256` is that of another caller; give each a token of its own", "token_sha256")
    elif digest:
        found.tokens[digest] = caller
    if certificate in found.certificates:
        record.refuse("`certificate` is that of another caller; give each a name of its own", "certificate")
    elif certificate:
        found.certificates[certificate] = caller


def _digest(record: Record) -> bytes:
    """Return the digest of a caller's token; what stands there may be the token itself, and is not told."""
    if not record.has("token_sha256"):
        return b""
    leaf = record.leaf("token_sha256")
    if leaf is not None and _DIGEST.fullmatch(leaf.text):
        if (digest := bytes.fromhex(leaf.text)) not in _OF_NOTHING:
            return digest
        record.refuse("`token_sha256` is that of the empty text; make a token first, then its digest", "token_sha256")
        return b""
    record.refuse(
        "`token_sha256` is the SHA-256 of the token: 64 small hexadecimal digits, as `sha256sum` gives them",
        "token_sha256",
    )
    return b""


def _certificate(record: Record) -> str:
    if not record.has("certificate"):
        return ""
    return record.text("certificate", None, Text("write a name of the certificate, such as mailer.example.org"))


def _customer(record: Record, role: Role | None) -> str | None:
    """Return the one customer that a caller may ask about, which the roles with one must name, and others must not."""
    named, own = record.has("customer"), role is not None and MEANS[role].own
    if not named or not own:
        if role is not None and named != own:
            told = "names its one `customer`" if own else "has no one `customer`"
            record.refuse(f"a caller of the role {role} {told}", "customer")
        return None
    customer = record.text("customer")
    if wrong := wrong_name(customer, CUSTOMER_BYTES):
        record.refuse(f"`customer` {wrong}", "customer")
    return customer


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
    """The callers in a file, read again within a second of its change; a bad one is refused, and the last one holds.

    A changed one is read in a thread of its own, so no call waits for it, and is in force as soon as it is read.
    Raises `CallersRefused` as it is made. `clock_s` only goes forward.
    """

    def __init__(
        self, path: Path, clock_s: Callable[[], float] = monotonic, wall_s: Callable[[], float] = time
    ) -> None:
        self._path, self._clock_s, self._wall_s = path, clock_s, wall_s
        self._stamp, self._next_s = stamp_of(path), clock_s() + LOOKS_EVERY_S
        self._sources = Sources(path.parent)
        self._reading = Thread()
        try:
            self._callers = read_callers(path, self._sources, wall_s)
        except CallersRefused:
            self._sources.close()
            raise

    @property
    def now(self) -> Callers:
        """The callers as they stand."""
        now_s = self._clock_s()
        if now_s >= self._next_s:
            self._next_s = now_s + LOOKS_EVERY_S
            self._look()
        return self._callers

    def close(self) -> None:
        """End what is done in the background."""
        self._next_s = math.inf
        if self._reading.is_alive():
            self._reading.join()
        self._sources.close()

    def _look(self) -> None:
        stamp = stamp_of(self._path)
        if stamp == self._stamp or self._reading.is_alive():
            return
        self._stamp = stamp
        self._reading = Thread(target=self._read, name="callers", daemon=True)
        self._reading.start()

    def _read(self) -> None:
        try:
            self._callers = read_callers(self._path, self._sources, self._wall_s)
        except CallersRefused as refused:
            log.warning("a changed file of callers is refused, the one before goes on: %s", refused)
        except Exception as error:  # noqa: BLE001 - its text may hold what stands in the file
            log.error("a changed file of callers cannot be read, the one before goes on: %s", type(error).__name__)


class SameCallers:
    """Callers that stay as they are."""

    def __init__(self, callers: Callers) -> None:
        self.now = callers

    def close(self) -> None:
        """End nothing."""
