"""Signed tokens (JWT): what an issuer says of a caller, checked with the issuer's public keys and by nothing else.

Every way in which a token can be bad looks the same from outside: it is nobody's.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from models.bounds import CUSTOMER_BYTES, wrong_name
from service.core.explained import Depth
from service.rpc.access.keys import KeySet, KeySource
from service.rpc.access.roles import MEANS
from service.rpc.access.who import Caller, Role

MOST_KEPT = 10_000
"""How many tokens that were checked are remembered, so that a caller's next call costs no signature."""
LONGEST_SUBJECT = 200
ROLE_CLAIM, CHANNELS_CLAIM, CUSTOMER_CLAIM = "tact_role", "tact_channels", "sub"
_NEEDED = ("exp", "iss", "aud", "sub")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whoever signs tokens: how it names itself, for whom it signs, with which algorithms and keys.

    `roles` are those that it may give; a token names one in `role_claim`, or none where there is but one.
    `customer_claim` holds the customer of a caller that has one. Clocks may differ by `leeway_s`. `channels` and
    `depth` are what its callers have at most, by the role where unset; so are the quotas.
    """

    name: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    roles: tuple[Role, ...]
    keys: KeySource = field(repr=False)
    role_claim: str = ROLE_CLAIM
    customer_claim: str = CUSTOMER_CLAIM
    leeway_s: float = 30.0
    channels: frozenset[str] | None = None
    depth: Depth | None = None
    calls_per_s: float | None = None
    customers_per_hour: int | None = None

    def caller_of(self, claims: Mapping[str, Any], until_s: float) -> Caller | None:
        """Return whom checked claims speak of; None where they say nothing that this issuer may say."""
        role, subject = self._role(claims), claims.get("sub")
        if role is None or not _is_name(subject):
            return None
        means = MEANS[role]
        customer = claims.get(self.customer_claim) if means.own else None
        if means.own and not _is_name(customer, CUSTOMER_BYTES):
            return None
        depth = means.depth if self.depth is None else min(self.depth, means.depth)
        return Caller(
            name=self.name if means.own else f"{self.name}:{subject}",  # who stands in records is no customer
            role=role,
            channels=self._channels(claims, means.channels),
            depth=depth,
            customer=customer,
            identity=f"signed\0{self.name}\0{subject}",
            calls_per_s=self.calls_per_s or means.calls_per_s,
            customers_per_hour=self.customers_per_hour or means.customers_per_hour,
            until_s=until_s,
        )

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        said = claims.get(self.role_claim)
        if said is None and len(self.roles) == 1:
            return self.roles[0]
        return next((role for role in self.roles if isinstance(said, str) and role.value == said), None)

    def _channels(self, claims: Mapping[str, Any], usual: frozenset[str]) -> frozenset[str]:
        allowed = usual if self.channels is None else self.channels
        said = claims.get(CHANNELS_CLAIM)
        if said is None:
            return allowed
        return (
            allowed.intersection(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token that was checked with these keys: whose it is, and until when (s since 1970) it counts."""

    caller: Caller
    keys: KeySet


class SignedTokens:
    """Knows callers by signed tokens. `clock_s` is the wall clock, in seconds since 1970."""

    def __init__(self, issuers: tuple[Issuer, ...], clock_s: Callable[[], float]) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._clock_s = clock_s
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def caller(self, token: str) -> Caller | None:
        """Return whose token it is; None for nobody's."""
        import jwt  # which the keys of the issuers have loaded, and nobody else needs

        name = sha256(token.encode(errors="surrogateescape")).digest()
        kept = self._kept.get(name)
        if kept is not None and self._still(kept):
            return kept.caller
        self._kept.pop(name, None)
        try:
            found = self._checked(token)
        except (jwt.PyJWTError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return None
        if found is None:
            return None
        self._kept[name] = found
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found.caller

    def _still(self, kept: _Kept) -> bool:
        until_s = kept.caller.until_s
        issued = any(issuer.keys.now is kept.keys for issuer in self._issuers.values())
        return issued and until_s is not None and self._clock_s() < until_s

    def _checked(self, token: str) -> _Kept | None:
        import jwt
        from jwt.utils import base64url_decode

        header, claimed = (json.loads(base64url_decode(part)) for part in token.split(".")[:2])
        issuer, kid, algorithm = self._issuers.get(claimed["iss"]), header.get("kid"), header["alg"]
        if issuer is None or algorithm not in issuer.algorithms or not isinstance(kid, str | None):
            return None
        keys = issuer.keys.now
        key = keys.key(kid, algorithm)
        if key is None:
            issuer.keys.missed()
            return None
        now_s, leeway_s = self._clock_s(), issuer.leeway_s
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # The times are checked below, by our own clock.
            options={"require": list(_NEEDED), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        until_s = _moment(claims["exp"]) + leeway_s
        begins_s = max(_moment(claims.get(name, 0)) for name in ("nbf", "iat")) - leeway_s
        caller = issuer.caller_of(claims, until_s) if begins_s <= now_s < until_s else None
        return None if caller is None else _Kept(caller, keys)


def _moment(value: object) -> float:
    """Return a moment of a token (s since 1970); raise ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise ValueError("it is no moment")
    return float(value)


def _is_name(value: object, most_bytes: int = LONGEST_SUBJECT) -> bool:
    return isinstance(value, str) and not wrong_name(value, most_bytes)
