"""What each error means to a caller: the one table from our errors to gRPC status codes.

Only texts that were written for callers leave the process: the edge's own `InvalidArgument` and the sentences below.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from service.errors import (
    AlreadyExists,
    ConsentOlder,
    CustomerErased,
    DeadlineExpired,
    ErasureKeyMissing,
    FailedPrecondition,
    InvalidArgument,
    LinkRefused,
    NotControlled,
    ServiceEnds,
    StoreError,
    TactError,
    TooManySwitches,
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
        "This bearer token is none of the service's callers'. Send the token that belongs to a caller, or none.",
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
    """How a call ends that cannot be answered: the status, a sentence for the caller, and the bad fields."""

    code: grpc.StatusCode
    message: str
    violations: tuple[Violation, ...] = ()

    @property
    def number(self) -> int:
        """The code as gRPC numbers it."""
        return int(self.code.value[0])

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The bad fields as `google.rpc.Status` with `BadRequest`, the way gRPC clients expect them."""
        if not self.violations:
            return ()
        detail = AnyMessage()
        detail.Pack(_bad_request(self.violations))
        status = Status(code=self.number, message=self.message, details=[detail])
        return (("grpc-status-details-bin", status.SerializeToString()),)


def refusal_of(error: BaseException) -> Refusal:
    """Return how a call ends that raised this error; log what was not foreseen, under a reference."""
    if isinstance(error, LinkRefused):
        return Refusal(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    if isinstance(error, InvalidArgument):
        return Refusal(grpc.StatusCode.INVALID_ARGUMENT, _bounded(error.message), error.violations)
    for kind in type(error).__mro__:
        if kind in STATUS:
            return Refusal(*STATUS[kind])
    return _unforeseen(error)


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
