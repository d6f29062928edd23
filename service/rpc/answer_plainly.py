"""The twin of service/rpc/_answers.c: answers as bytes, put together from packed pieces.

They are what `answer_of` makes, to the last byte. Filling a message and serializing it took 40 µs where this takes 10:
most of an answer are the same texts every time. What is rare, an explanation, is left to `answer_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import TypeVar

from models.context import ContextSchema
from service.core.decision import Answer, Decision, Reason, ReasonCode
from service.core.rules import Kind
from service.core.rungs import Rung, rung_of
from service.rpc.convert_answer import answer_of

_MOST = 4_096
"""How many pieces of a kind are kept; when there are more, all are forgotten, and those in use are packed again."""
_LENGTHS = tuple(bytes((n,)) if n < 0x80 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(1 << 14))
_REAL = Struct("<cd").pack
_ID, _DECISION, _ANSWER, _VERSIONS, _DEGRADED = b"\x0a", b"\x12", b"\x1a", b"\x22", b"\x28\x01"
_WHY_DEGRADED, _DECIDED = b"\x32", b"\x3a"
_Key = TypeVar("_Key")


def _length(n: int) -> bytes:
    if n < 1 << 14:
        return _LENGTHS[n]
    written = bytearray()
    while n > 0x7F:
        written.append(n & 0x7F | 0x80)
        n >>= 7
    written.append(n)
    return bytes(written)


def _sized(tag: bytes, body: bytes) -> bytes:
    size = len(body)
    return tag + (_LENGTHS[size] if size < 1 << 14 else _length(size)) + body


def _text(tag: bytes, text: str) -> bytes:
    if not text:
        return b""
    body = text.encode()
    size = len(body)
    return tag + (_LENGTHS[size] if size < 1 << 14 else _length(size)) + body


_NANOS = (b"", *(b"\x10" + _length(ms * 1_000_000) for ms in range(1, 1000)))
"""The second field of a Timestamp for each millisecond of a second."""


@lru_cache(maxsize=64)
def _seconds(seconds: int) -> bytes:
    return b"\x08" + _length(seconds % (1 << 64)) if seconds else b""


def _moment(tag: bytes, ms: int) -> bytes:
    """Pack a Timestamp; what is 0 is left out."""
    return _sized(tag, _seconds(ms // 1000) + _NANOS[ms % 1000])


def _real(tag: bytes, number: float) -> bytes:
    """Pack a double; 0.0 is left out, and -0.0 is not."""
    packed = _REAL(tag, number)
    return packed if any(packed[1:]) else b""


_RUNGS = {rung: b"\x50" + _length(rung) for rung in Rung}
_CODES = {code: b"\x08" + _length(code) for code in ReasonCode}


class Plainly:
    """Packs answers under one schema. It keeps the texts that it has seen; nothing else is remembered."""

    def __init__(self, schema: ContextSchema) -> None:
        self._schema = schema
        self._words: dict[tuple[str, str, tuple[str, ...]], bytes] = {}
        self._fields: dict[tuple[str, ...], bytes] = {}
        self._versions: dict[tuple[str, str], bytes] = {}

    def of(self, decision: Decision, request_id: str) -> bytes:
        """Return the serialized DecideResponse of a decision."""
        if decision.explanation is not None:
            return answer_of(decision, request_id, self._schema).SerializeToString()
        parts = [_text(_ID, request_id), _text(_DECISION, decision.decision_id)]
        parts += [_sized(_ANSWER, self._placement(answer)) for answer in decision.answers]
        parts.append(self._version(decision.strategy, decision.model))
        if decision.degraded:
            parts.append(_DEGRADED)
            parts += self._reasons(_WHY_DEGRADED, decision.degraded)
        parts.append(_moment(_DECIDED, decision.at_ms))
        parts.append(_RUNGS[rung_of(decision.degraded)])
        return b"".join(parts)

    def _placement(self, answer: Answer) -> bytes:
        if not answer.action:
            held = _text(b"\x0a", answer.held_back)
            said = _sized(b"\x22", held if answer.until_ms is None else held + _moment(b"\x12", answer.until_ms))
        elif answer.kind == Kind.GREETING:
            said = _sized(b"\x12", self._worded(answer))
        else:
            worth = _real(b"\x21", answer.propensity) + _real(b"\x29", answer.net_value)
            sells = b"\x30\x01" if answer.kind == Kind.OFFER else b""
            said = _sized(b"\x1a", self._worded(answer) + worth + sells)
        return b"".join((_text(b"\x0a", answer.placement), said, *self._reasons(b"\x2a", answer.reasons)))

    def _worded(self, answer: Answer) -> bytes:
        key = (answer.action, answer.text, answer.intents)
        packed = self._words.get(key)
        if packed is None:
            intents = b"".join(_sized(b"\x1a", intent.encode()) for intent in answer.intents)
            packed = _text(b"\x0a", answer.action) + _text(b"\x12", answer.text) + intents
            _keep(self._words, key, packed)
        return packed

    def _reasons(self, tag: bytes, reasons: Iterable[Reason]) -> list[bytes]:
        return [_sized(tag, self._reason(reason)) for reason in reasons]

    def _reason(self, reason: Reason) -> bytes:
        head = _CODES[reason.code] + _text(b"\x12", reason.sentence) + _text(b"\x1a", reason.rule)
        if reason.fields:
            fields = self._fields.get(reason.fields)
            if fields is None:
                fields = b"".join(_sized(b"\x22", field.encode()) for field in reason.fields)
                _keep(self._fields, reason.fields, fields)
            head += fields
        return head if reason.until_ms is None else head + _moment(b"\x2a", reason.until_ms)

    def _version(self, strategy: str, model: str) -> bytes:
        packed = self._versions.get((strategy, model))
        if packed is None:
            packed = _sized(_VERSIONS, _text(b"\x0a", strategy) + _text(b"\x12", model))
            _keep(self._versions, (strategy, model), packed)
        return packed


def _keep(pieces: dict[_Key, bytes], key: _Key, packed: bytes) -> None:
    if len(pieces) >= _MOST:
        pieces.clear()
    pieces[key] = packed
