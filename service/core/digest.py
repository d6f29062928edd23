"""What tells a request from another one under the same idempotency key."""

from __future__ import annotations

from hashlib import blake2b

from models.context import ContextSchema, Scalar
from service.core.decision import Request


def digest_of(request: Request, schema: ContextSchema) -> bytes:
    """Return 8 bytes for what a request asks; fields count by their ids."""
    context = sorted((schema.fields[index].id, _plain(value)) for index, value in request.context.items())
    said = (request.channel, request.placements, context, request.as_of_ms)
    told = repr((*said, request.trigger) if request.trigger else said)
    return blake2b(told.encode(), digest_size=8).digest()


def _plain(value: Scalar) -> str:
    return repr(value + 0.0 if type(value) is float else value)  # no negative zero
