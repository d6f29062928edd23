"""How a call ends that is not answered: one exception, with everything that the service said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

_DETAILS, _PUSHBACK = "grpc-status-details-bin", "grpc-retry-pushback-ms"
_Trailers: TypeAlias = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Violation:
    """One bad field: its path in the request, such as `placements[0]`, and what is wrong with it."""

    field: str
    description: str


class CallFailed(Exception):
    """A call ended with a status that is not OK, after all the attempts that the policy allows.

    `code` is the status, `message` the service's sentence, `violations` the bad fields of an INVALID_ARGUMENT, and
    `pushback_s` how many seconds the service asks to be left alone: None where it does not say, negative for "do not
    repeat this".
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        violations: tuple[Violation, ...] = (),
        pushback_s: float | None = None,
    ) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.violations = violations
        self.pushback_s = pushback_s

    @classmethod
    def of(cls, error: Ended) -> CallFailed:
        """Read what the service said."""
        trailers = tuple(error.trailing_metadata() or ())
        return cls(error.code(), error.details() or "", _violations(trailers), _pushback_s(trailers))


@dataclass(slots=True)
class Life:
    """Whether a client was closed: what is under way then, and what comes later, ends as CANCELLED and is final."""

    closed: bool = False

    def over(self) -> CallFailed:
        """Return how a call of a closed client ends."""
        return CallFailed(grpc.StatusCode.CANCELLED, "The client is closed.")


class Ended(Protocol):
    """How gRPC tells that a call ended, in both of its interfaces."""

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        ...

    def details(self) -> str | None:
        """Return the sentence."""
        ...

    def trailing_metadata(self) -> Any:  # noqa: ANN401 - a tuple of pairs in one of them, a class of its own in the other
        """Return what came at the end."""
        ...


def _violations(trailers: _Trailers) -> tuple[Violation, ...]:
    found: list[Violation] = []
    for name, value in trailers:
        if name == _DETAILS and isinstance(value, bytes):
            found += _bad_fields(value)
    return tuple(found)


def _bad_fields(status: bytes) -> list[Violation]:
    found: list[Violation] = []
    try:
        for detail in Status.FromString(status).details:
            bad = BadRequest()
            if detail.Unpack(bad):
                found += [Violation(one.field, one.description) for one in bad.field_violations]
    except DecodeError:  # of something between us and the service, which is not to hide the status itself
        return []
    return found


def _pushback_s(trailers: _Trailers) -> float | None:
    for name, value in trailers:
        if name == _PUSHBACK:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0  # as gRPC reads what is no number: do not repeat
    return None
