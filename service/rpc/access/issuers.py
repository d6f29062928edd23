"""Issuers as the file of callers writes them, and where their keys come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from models.records import Record
from models.shapes import NAME, Choice, Text
from service.rpc.access.bounds import read_bounds
from service.rpc.access.keys import ALGORITHMS, WITHIN_S, KeyFile, KeySource, KeysRefused, KeyUrl, key_url
from service.rpc.access.signed import CUSTOMER_CLAIM, ROLE_CLAIM, Issuer
from service.rpc.access.who import Role

LONGEST_LEEWAY_MS = 300_000
DEFAULT_LEEWAY_MS = 30_000
DEFAULT_ALGORITHMS = ("RS256", "ES256")
_ALGORITHM = Text(f"write some of {', '.join(ALGORITHMS)}")


@dataclass(slots=True)
class Sources:
    """The sources of keys by where they are, kept over rereadings of the file that names them."""

    folder: Path
    _open: dict[str, KeySource] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)
    _begun: bool = False

    def of(self, place: str) -> KeySource:
        """Return the source at a place; raise `KeysRefused`."""
        self._named.add(place)
        if place not in self._open:
            self._open[place] = self._opened(place)
        return self._open[place]

    def settle(self) -> None:
        """Close what is named no more."""
        for place in self._open.keys() - self._named:
            self._open.pop(place).close()
        self._named.clear()
        self._begun = True

    def forget(self) -> None:
        """Forget what a file named that is refused."""
        self._named.clear()

    def close(self) -> None:
        """Close all of them."""
        self._named.clear()
        self.settle()

    def _opened(self, place: str) -> KeySource:
        if "://" not in place:
            return KeyFile(self.folder / place)
        key_url(place)
        return KeyUrl(place, wait_s=0.0 if self._begun else WITHIN_S)  # nobody waits while calls are answered


def read_issuer(record: Record, sources: Sources, taken: dict[str, str]) -> Issuer | None:
    """Read one issuer; None, with problems, where it is not right."""
    name, issuer, audience = record.text("name", None, NAME), record.text("issuer"), record.text("audience")
    roles = record.values("roles", Choice(Role), required=True)
    algorithms = record.texts("algorithms", _ALGORITHM) or DEFAULT_ALGORITHMS
    if unknown := [one for one in algorithms if one not in ALGORITHMS]:
        record.refuse(f"`algorithms` names {len(unknown)} that prove nothing here; {_ALGORITHM.wanted}", "algorithms")
    leeway_ms = record.duration("leeway", DEFAULT_LEEWAY_MS)
    if leeway_ms > LONGEST_LEEWAY_MS:
        record.refuse(f"`leeway` is longer than {LONGEST_LEEWAY_MS // 60_000} minutes; set the clocks right", "leeway")
    for what, text in (("name", name), ("issuer", issuer)):
        if f"{what} {text}" in taken:
            record.refuse(f"the {what} is taken by {taken[f'{what} {text}']}; each has its own", what)
        taken[f"{what} {text}"] = record.place
    claims = record.text("role_claim", ROLE_CLAIM), record.text("customer_claim", CUSTOMER_CLAIM)
    bounds = read_bounds(record, roles)
    keys = _keys(record, sources)
    record.rest_is_refused()
    if keys is None:
        return None
    return Issuer(
        name, issuer, audience, algorithms, roles, keys, *claims, leeway_ms / 1000,
        bounds.channels, bounds.depth, bounds.calls_per_s, bounds.customers_per_hour,
    )  # fmt: skip


def _keys(record: Record, sources: Sources) -> KeySource | None:
    place = record.text("keys", None, Text("write a file with a JWK set, or the https URL of one"))
    try:
        return sources.of(place) if place else None
    except KeysRefused as refused:
        record.refuse(f"`keys`: {refused}", "keys")
        return None
