"""What texts, numbers and moments may be, and how violations are collected and worded."""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from models import bounds
from models.bounds import YEAR_2000_MS, YEAR_2100_MS
from service.errors import InvalidArgument, Violation
from tact.v1.decision_pb2 import FieldViolation

MAX_VIOLATIONS = 32
MAX_CUSTOMER_BYTES = bounds.CUSTOMER_BYTES
MAX_BATCH = 1_000
YEAR_1 = bounds.YEAR_1_MS // 1000  # seconds since 1970
YEAR_10000 = bounds.YEAR_10000_MS // 1000
_DECISION_ID = re.compile(r"[0-3][0-9a-f]{25}", re.ASCII)
_WORD = re.compile(r"(?!(?:.*[0-9]){5})[a-zA-Z][a-zA-Z0-9_.-]{0,47}", re.ASCII)
"""How the ids of strategies are spelt; no address, no telephone number, no name, and no sentence is."""

listed = bounds.listed
has_control_characters = bounds.has_control_characters


class Refused(Exception):
    """A value is bad; the text says what is wrong and what would be right."""


class Findings:
    """Collects what is wrong with one request, at most `most` violations; more are not worth the reader's time."""

    def __init__(self, most: int = MAX_VIOLATIONS) -> None:
        self._most = most
        self._violations: list[Violation] = []

    def add(self, field: str, description: str) -> None:
        """Note one bad field."""
        if len(self._violations) < self._most:
            self._violations.append(Violation(field, description))

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What was found, in the order of the checks."""
        return tuple(self._violations)

    def end(self) -> None:
        """Raise `InvalidArgument` when anything was found."""
        if self._violations:
            raise InvalidArgument.of(self._violations)


def shown(text: str) -> str:
    """Quote a caller's text for a message, if it could be a word of a strategy: anything else may be about a person."""
    return f'"{text}"' if _WORD.fullmatch(text) else '"…"' if text else '""'


def entry(field: str, key: str) -> str:
    """Return the path of one entry of a map, such as `context["present.sentiment"]`."""
    return f"{field}[{shown(key)}]"


def check_batch(field: str, size: int) -> None:
    """Refuse a batch that is empty or too long."""
    if not 1 <= size <= MAX_BATCH:
        raise InvalidArgument.of([Violation(field, f"has {size:,} entries; send 1 to {MAX_BATCH:,}.")])


def check_most(field: str, size: int, most: int) -> None:
    """Refuse a list that is too long to be looked at."""
    if size > most:
        raise InvalidArgument.of([Violation(field, f"has {size:,} entries; send {most:,} at most.")])


def check_id(found: Findings, field: str, text: str, most_bytes: int) -> None:
    """Check a required name: 1 to `most_bytes` bytes, visible, without control or formatting characters."""
    if wrong := bounds.wrong_name(text, most_bytes):
        found.add(field, wrong)


def check_decision_id(found: Findings, decision_id: str) -> None:
    """Check that a text has the form of a decision id."""
    if not _DECISION_ID.fullmatch(decision_id):
        found.add("decision_id", "is no decision id: send the 26 characters that the decision came with.")


def check_length(found: Findings, field: str, text: str, most_bytes: int) -> None:
    """Check an optional text of at most `most_bytes` bytes."""
    if len(text) * 4 > most_bytes and (length := bounds.byte_length(text)) > most_bytes:
        found.add(field, f"has {length} bytes; at most {most_bytes} are allowed.")


def moment_ms(moment: Timestamp) -> int:
    """Return whole milliseconds since 1970; raise `Refused` when it is no moment of the years 1 to 9999."""
    seconds, nanos = moment.seconds, moment.nanos
    if not (YEAR_1 <= seconds < YEAR_10000 and 0 <= nanos < 1_000_000_000):
        raise Refused("is no moment of the years 1 to 9999; nanos must be 0 to 999,999,999.")
    return seconds * 1000 + nanos // 1_000_000


def check_past(found: Findings, field: str, moment: Timestamp, now_ms: int) -> int:
    """Return the milliseconds of something that happened: not before 2000, nor beyond now and 5 minutes."""
    try:
        at = moment_ms(moment)
        if wrong := bounds.wrong_past(at, now_ms):
            raise Refused(wrong)
    except Refused as refused:
        found.add(field, str(refused))
        return 0
    return at


def check_as_of(found: Findings, moment: Timestamp, allowed: bool) -> int | None:
    """Return the moment to answer as of, in milliseconds, where callers may choose one."""
    try:
        at = moment_ms(moment)
        if not allowed:
            raise Refused("is not allowed; start the service with --allow-as-of, or leave it out.")
        if not YEAR_2000_MS <= at < YEAR_2100_MS:
            raise Refused("is not between the years 2000 and 2100.")
    except Refused as refused:
        found.add("as_of", str(refused))
        return None
    return at


def violation_messages(violations: Iterable[Violation]) -> list[FieldViolation]:
    """Return violations as the contract writes them."""
    return [FieldViolation(field=v.field, description=v.description) for v in violations]


def timestamp(ms: int) -> Timestamp:
    """Return a moment of whole milliseconds since 1970 as protobuf writes it."""
    seconds, rest = divmod(ms, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)
