"""How calls of our own client end: with a plain answer, or with `CallFailed`."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from service.errors import Violation
from service.rpc.plain import plain

Answer: TypeAlias = dict[str, Any]


class CallFailed(Exception):
    """A call ended with a status that is not OK: its name, such as `INVALID_ARGUMENT`, and the bad fields if any.

    `pushback_s` is how long the service asks to wait.
    """

    def __init__(self, code: str, message: str, violations: tuple[Violation, ...], pushback_s: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.pushback_s = pushback_s
        self.code = code
        self.message = message
        self.violations = violations

    @property
    def erased(self) -> bool:
        """Whether it failed because the customer was erased."""
        return self.code == "FAILED_PRECONDITION" and "customer was erased" in self.message

    @property
    def older(self) -> bool:
        """Whether it failed because a consent that was given later is stored."""
        return self.code == "FAILED_PRECONDITION" and "given later is stored" in self.message

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> CallFailed:
        """Read what the service said."""
        return cls(error.code().name, error.details() or "", _violations(error), _pushback_s(error))


async def answer_to(call: Any) -> Answer:  # noqa: ANN401 - unary and streaming calls share no type
    """Return what a call answers, as plain values; raise `CallFailed`."""
    try:
        return plain(await call)
    except grpc.aio.AioRpcError as error:
        raise CallFailed.of(error) from None


def _pushback_s(error: grpc.aio.AioRpcError) -> float:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-retry-pushback-ms" and str(value).isdecimal():
            return int(value) / 1000
    return 0.0


def _violations(error: grpc.aio.AioRpcError) -> tuple[Violation, ...]:
    found: list[Violation] = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                bad = BadRequest()
                if detail.Unpack(bad):
                    found += [Violation(v.field, v.description) for v in bad.field_violations]
    return tuple(found)
