"""The gate: who calls, whether they may, and about whom, asked of every call before anything of it is read.

access = Access(file_of_callers)
gate = access.gate("tact.v1.DecisionService/Decide")   # asked of each call; raises UnknownCaller, Forbidden, …
access.check("customer-1", "web")                      # of what was read: never more than the caller may
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
        caller = at_hand()
        if caller.until_s is not None and self._wall_s() >= caller.until_s:
            raise UnknownCaller("it has ended")
        self._quotas.charge(caller)

    def _caller(self, call: Any) -> Caller:  # noqa: ANN401 - as above
        callers = self._callers.now
        tokens = tuple(bearers(call.invocation_metadata() or ()))
        if len(tokens) > 1:
            raise UnknownCaller("it brings several tokens")
        found = callers.by_token(tokens[0]) if tokens else callers.by_certificate(names_of(call.auth_context()))
        if found is None:
            raise UnknownCaller("it is nobody's")
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
