"""The gate: who calls, whether they may, and about whom, asked of every call before anything of it is read.

access = Access(file_of_callers)
gate = access.gate("tact.v1.DecisionService/Decide")   # asked of each call; raises UnknownCaller, Forbidden, …
access.check("customer-1", "web")                      # of what was read: never more than the caller may
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any, Protocol

from service.errors import Forbidden, UnknownCaller
from service.rpc.access.quotas import Quotas
from service.rpc.access.roles import METHODS, OPEN
from service.rpc.access.who import WHO, Caller

HEADER, BEARER = "authorization", "bearer "
_ALTERNATIVES, _COMMON_NAME = "x509_subject_alternative_name", "x509_common_name"


class Callers(Protocol):
    """Who there is."""

    def by_token(self, token: str) -> Caller | None:
        """Return whose token it is; None for nobody's."""
        ...

    def by_certificate(self, names: tuple[str, ...]) -> Caller | None:
        """Return who is called one of the names of a certificate; None for nobody, and for more than one."""
        ...


class CallersNow(Protocol):
    """The callers as they stand, which may change."""

    @property
    def now(self) -> Callers:
        """The callers of this moment."""
        ...


@dataclass(frozen=True, slots=True)
class _Brought:
    """What a call brought to say who makes it, a token or else the names of a certificate, and who there was then."""

    callers: Callers
    token: str | None = field(repr=False)
    names: tuple[str, ...]

    def caller_in(self, callers: Callers) -> Caller:
        """Return whose it is; raise `UnknownCaller` where it is nobody's."""
        found = callers.by_certificate(self.names) if self.token is None else callers.by_token(self.token)
        if found is None:
            raise UnknownCaller("it is nobody's")
        return found


_BROUGHT: ContextVar[_Brought | None] = ContextVar("brought", default=None)


class Access:
    """Knows who calls and what they may do. `clock_s` only goes forward, `wall_s` is the time since 1970 in seconds."""

    def __init__(
        self, callers: CallersNow, clock_s: Callable[[], float] = monotonic, wall_s: Callable[[], float] = time
    ) -> None:
        self._callers = callers
        self._quotas = Quotas(clock_s)
        self._wall_s = wall_s

    def gate(self, method: str) -> Callable[[Any], None] | None:
        """Return what each call of a method is asked by; None where the method is open to everybody."""
        if method in OPEN:
            return None
        may, charge = METHODS[method], self._quotas.charge

        def gate(call: Any) -> None:  # noqa: ANN401 - a call as gRPC has it, which runs in a context of its own
            caller = self._caller(call)
            if caller.role not in may:
                raise Forbidden
            charge(caller)
            WHO.set(caller)

        return gate

    @property
    def callers(self) -> Callers:
        """Who there is now: another value when that has changed."""
        return self._callers.now

    def check(self, customer: str, channel: str | None = None) -> None:
        """Raise `Forbidden` unless the caller at hand may ask about a customer, on a channel where one is named.

        Raises `OverQuota` where it has asked about too many.
        """
        caller = at_hand()
        if caller.customer is not None and caller.customer != customer:
            raise Forbidden
        if channel is not None and channel not in caller.channels:
            raise Forbidden
        self._quotas.charge_customer(caller, customer)

    def check_item(self) -> None:
        """Count one item of a stream as a call; raise `UnknownCaller` where what the caller brought counts no more."""
        self.check_still()
        self._quotas.charge(at_hand())

    def add(self, calls: int) -> None:
        """Count calls more that came with one that was counted, as the entries of a batch."""
        self._quotas.add(at_hand(), calls)

    def check_still(self) -> None:
        """Raise `UnknownCaller` where what the caller brought has ended, or is somebody else's by now, or nobody's."""
        caller, brought = at_hand(), _BROUGHT.get()
        if caller.until_s is not None and self._wall_s() >= caller.until_s:
            raise UnknownCaller("it has ended")
        if brought is None or brought.callers is (callers := self._callers.now):
            return
        found = brought.caller_in(callers)
        if (found.identity, found.role, found.customer) != (caller.identity, caller.role, caller.customer):
            raise UnknownCaller("it is another caller's by now")
        WHO.set(found)
        _BROUGHT.set(_Brought(callers, brought.token, brought.names))

    def _caller(self, call: Any) -> Caller:  # noqa: ANN401 - as above
        tokens = tuple(bearers(call.invocation_metadata() or ()))
        if len(tokens) > 1:
            raise UnknownCaller("it brings several tokens")
        token = tokens[0] if tokens else None
        brought = _Brought(self._callers.now, token, () if tokens else names_of(call.auth_context()))
        found = brought.caller_in(brought.callers)
        _BROUGHT.set(brought)
        return found


def at_hand() -> Caller:
    """Return the caller at hand; raise `UnknownCaller` where no gate was asked, so that a gap lets nobody through."""
    caller = WHO.get()
    if caller is None:
        raise UnknownCaller("nobody was asked who calls")
    return caller


def bearers(metadata: tuple[tuple[str, str | bytes], ...]) -> Iterator[str]:
    """Yield what a call brings to say who makes it; what is no bearer token is nobody's."""
    for name, value in metadata:
        if name == HEADER:
            text = value if isinstance(value, str) else ""
            yield text[len(BEARER) :].strip() if text[: len(BEARER)].lower() == BEARER else ""


def names_of(context: Mapping[str, list[bytes]]) -> tuple[str, ...]:
    """Return the names of the certificate that the other side showed; its common name only where it has no others."""
    names = context.get(_ALTERNATIVES) or context.get(_COMMON_NAME) or ()
    return tuple(name.decode(errors="replace") for name in names)
