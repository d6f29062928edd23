"""What each error means to a caller: the one table from our errors to gRPC status codes.

Only texts that were written for callers leave the process: the edge's own `InvalidArgument` and the sentences below.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from dataclasses import dataclass
from math import ceil

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from service.errors import (
    AlreadyExists,
    CannotHear,
    ConsentOlder,
    CustomerErased,
    DeadlineExpired,
    ErasureKeyMissing,
    FailedPrecondition,
    Forbidden,
    InvalidArgument,
    LinkRefused,
    NotControlled,
    Overloaded,
    OverQuota,
    ServiceEnds,
    StoreError,
    TactError,
    TooManySwitches,
    TooManyWatches,
    TooSlow,
    UnknownCaller,
    UnknownDecision,
    Violation,
)

_log = logging.getLogger(__name__)

# gRPC keeps metadata small: 8 KiB are safe everywhere, and a binary trailer grows by a third on the wire.
_DETAIL_BYTES = 4_000
_MESSAGE_CHARACTERS = 400

STATUS: dict[type[TactError], tuple[grpc.StatusCode, str]] = {
    InvalidArgument: (grpc.StatusCode.INVALID_ARGUMENT, ""),
    AlreadyExists: (
        grpc.StatusCode.ALREADY_EXISTS,
        "This idempotency key was used for another request of this customer. Send a new key, or the same request.",
    ),
    UnknownDecision: (
        grpc.StatusCode.NOT_FOUND,
        "There is no decision of this decision_id: it was never made, is older than decisions are kept, or was erased "
        "with its customer. What it said must not be said.",
    ),
    UnknownCaller: (
        grpc.StatusCode.UNAUTHENTICATED,
        "Nobody is known by what this call brings. Send the token or the certificate of one of the service's callers.",
    ),
    Forbidden: (
        grpc.StatusCode.PERMISSION_DENIED,
        "This caller may not do that, or not about this customer or on this channel.",
    ),
    OverQuota: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "This caller has asked for more than it may. Wait as long as grpc-retry-pushback-ms says, and ask again.",
    ),
    Overloaded: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "More is asked than can be answered, and nothing was done. Wait as long as grpc-retry-pushback-ms says.",
    ),
    TooManyWatches: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Too many watch already: at this service, in this caller's name, or this customer. End watches that nobody "
        "looks at, or wait as long as grpc-retry-pushback-ms says.",
    ),
    TooSlow: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Messages were not taken in time, so the watch ended. Read each as it comes, and resume with the last cursor.",
    ),
    ConsentOlder: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "A consent that was given later is stored already. Read it, and send a consent given after it.",
    ),
    CustomerErased: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "The customer was erased. Nothing is stored until they give a consent after that moment.",
    ),
    ErasureKeyMissing: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "This service has no erasure key, so an erased customer could come back unnoticed. "
        "Start it with --erasure-key-file, the same for every process on this store.",
    ),
    CannotHear: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "This server does not listen to its store, so nothing can be watched. Ask one that `tact serve` started.",
    ),
    NotControlled: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "This server has neither a status nor switches. Ask one that `tact serve` started.",
    ),
    TooManySwitches: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "1,000 actions are switched off already. Switch on what need not be off any more, or switch off everything.",
    ),
    FailedPrecondition: (grpc.StatusCode.FAILED_PRECONDITION, "What is stored does not allow this."),
    DeadlineExpired: (grpc.StatusCode.DEADLINE_EXCEEDED, "The time for this call is over."),
    ServiceEnds: (grpc.StatusCode.UNAVAILABLE, "The service ends. Send what is not answered again on a new stream."),
    StoreError: (
        grpc.StatusCode.UNAVAILABLE,
        "The store cannot be reached or does not answer in time. Repeat the call: nothing counts twice.",
    ),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call ends that cannot be answered: the status, a sentence for the caller, and the bad fields.

    `pushback_ms` is how long the caller is to wait before it tries again.
    """

    code: grpc.StatusCode
    message: str
    violations: tuple[Violation, ...] = ()
    pushback_ms: int | None = None

    @property
    def number(self) -> int:
        """The code as gRPC numbers it."""
        return int(self.code.value[0])

    @property
    def trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        """How long to wait, as gRPC clients with a retry policy read it, and the bad fields as `google.rpc.Status` with
        `BadRequest`, the way they expect them.
        """
        wait = () if self.pushback_ms is None else (("grpc-retry-pushback-ms", str(self.pushback_ms)),)
        if not self.violations:
            return wait
        detail = AnyMessage()
        detail.Pack(_bad_request(self.violations))
        status = Status(code=self.number, message=self.message, details=[detail])
        return (*wait, ("grpc-status-details-bin", status.SerializeToString()))


def refusal_of(error: BaseException) -> Refusal:
    """Return how a call ends that raised this error; log what was not foreseen, under a reference."""
    if isinstance(error, LinkRefused):
        return Refusal(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    if isinstance(error, InvalidArgument):
        return Refusal(grpc.StatusCode.INVALID_ARGUMENT, _bounded(error.message), error.violations)
    for kind in type(error).__mro__:
        if kind in STATUS:
            return Refusal(*STATUS[kind], pushback_ms=_wait_ms(error))
    return _unforeseen(error)


def _wait_ms(error: BaseException) -> int | None:
    """Return how long whoever raised this is to wait before another try; None where nobody says."""
    return max(1, ceil(1000 * error.wait_s)) if isinstance(error, OverQuota | Overloaded | TooManyWatches) else None


def code_of(error: BaseException) -> str:
    """Return the status that an error means, as metrics name it: in small letters, and cancelled for who has left."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    if isinstance(error, LinkRefused):
        return "failed_precondition"
    found = next((STATUS[kind][0] for kind in type(error).__mro__ if kind in STATUS), grpc.StatusCode.INTERNAL)
    return found.name.lower()


def _unforeseen(error: BaseException) -> Refusal:
    """Log where an error came from, never what it says: its text and its values may be about a person."""
    reference = secrets.token_hex(6)
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("Internal error %s: %s\n%s", reference, type(error).__name__, frames)
    return Refusal(grpc.StatusCode.INTERNAL, f"Something went wrong inside; the log has reference {reference}.")


def _bad_request(violations: tuple[Violation, ...]) -> BadRequest:
    """Return as many violations as fit, and how many did not."""
    bad, room = BadRequest(), _DETAIL_BYTES
    for told, violation in enumerate(violations):
        room -= len(violation.field.encode()) + len(violation.description.encode()) + 8
        if room < 0:
            bad.field_violations.add(description=f"and {len(violations) - told} more")
            break
        bad.field_violations.add(field=violation.field, description=violation.description)
    return bad


def _bounded(message: str) -> str:
    return message if len(message) <= _MESSAGE_CHARACTERS else message[:_MESSAGE_CHARACTERS] + "…"
