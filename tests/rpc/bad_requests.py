"""Bad input, row by row: a claim, the message, and the path that the answer must name."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tact.v1 import context_pb2, decision_pb2, outcome_pb2
from tact.v1.values_pb2 import StringList, Value
from tests.rpc.messages import ask, consent, event, outcome
from tests.rpc.world import NOW_MS

Row = tuple[str, Message, str]

YEAR_0 = Timestamp(seconds=-62_167_219_200)
YEAR_9999 = Timestamp(seconds=253_402_300_799)
YEAR_10000 = Timestamp(seconds=253_402_300_800)
FUTURE = Timestamp(seconds=NOW_MS // 1000 + 301)
YEAR_1999 = Timestamp(seconds=946_684_799)


NUMBER, TEXT, TRUTH = Value(double_value=0.5), Value(string_value="bill"), Value(bool_value=True)


def double(value: float) -> Value:
    """Return a double."""
    return Value(double_value=value)


def whole(value: int) -> Value:
    """Return a whole number."""
    return Value(int_value=value)


def text(value: str) -> Value:
    """Return a text."""
    return Value(string_value=value)


def texts(*values: str) -> Value:
    """Return a list of texts."""
    return Value(strings_value=StringList(values=values))


def moment(value: Timestamp) -> Value:
    """Return a moment."""
    return Value(timestamp_value=value)


def _context(field: str, value: Value) -> decision_pb2.DecideRequest:
    return ask(context={field: value})


def _seen(claim: str, field: str, value: Value) -> Row:
    """Return a row in which a request's context is bad."""
    return claim, _context(field, value), f'context["{field}"]'


def _told(claim: str, name: str, value: Value) -> Row:
    """Return a row in which an event's attribute is bad."""
    return claim, event(type="noted", attributes={name: value}), f'attributes["{name}"]'


DECIDE: tuple[Row, ...] = (
    ("a customer id is required", ask(customer_id=""), "customer_id"),
    ("a customer id of 10 kB is too long", ask(customer_id="c" * 10_000), "customer_id"),
    ("129 bytes are one too many", ask(customer_id="c" * 129), "customer_id"),
    ("bytes count, not characters", ask(customer_id="ü" * 65), "customer_id"),
    ("a blank customer id is none", ask(customer_id="   "), "customer_id"),
    ("a NUL is a control character", ask(customer_id="c\x00"), "customer_id"),
    ("a line feed is a control character", ask(customer_id="c\r\nSET x"), "customer_id"),
    ("a direction override can disguise a name", ask(customer_id="c\u202e1"), "customer_id"),
    ("a zero-width space can disguise a name", ask(customer_id="c\u200b1"), "customer_id"),
    ("a byte order mark can disguise a name", ask(customer_id="\ufeffc"), "customer_id"),
    ("a line separator is no part of a name", ask(customer_id="c\u2028"), "customer_id"),
    ("a delete is a control character", ask(customer_id="c\x7f"), "customer_id"),
    ("a C1 control is a control character", ask(customer_id="c\x85"), "customer_id"),
    ("a channel is required", ask(channel=""), "channel"),
    ("an unknown channel is refused", ask(channel="fax"), "channel"),
    ("a channel is spelt as the strategy spells it", ask(channel="Web"), "channel"),
    ("a channel of 10 kB is unknown", ask(channel="w" * 10_000), "channel"),
    ("placements are required", ask(placements=[]), "placements"),
    ("nine placements are too many", ask(placements=["greeting"] * 9), "placements"),
    ("30,000 placements are too many", ask(placements=[""] * 30_000), "placements"),
    ("an unknown placement is refused", ask(placements=["greeting", "roof"]), "placements[1]"),
    ("a placement of another channel is unknown here", ask(placements=["offer"]), "placements[0]"),
    ("an empty placement is unknown", ask(placements=[""]), "placements[0]"),
    ("a placement is asked for once", ask(placements=["greeting", "hero", "greeting"]), "placements[2]"),
    _seen("an unknown field is refused", "present.mood", NUMBER),
    _seen("a field from events is refused", "past.open_tickets", whole(0)),
    ("an empty field name is unknown", _context("", NUMBER), 'context[""]'),
    ("an attacker's field name is not repeated", _context("a\n\"b", NUMBER), 'context["…"]'),
    ("65 fields are too many", ask(context={f"present.f{i}": NUMBER for i in range(65)}), "context"),
    _seen("a value without a kind is refused", "present.sentiment", Value()),
    _seen("a double is no text", "present.sentiment", TEXT),
    _seen("a double is no whole number", "present.sentiment", whole(0)),
    _seen("a whole number is no double", "present.calls", double(1.0)),
    _seen("a truth is no whole number", "present.waiting", whole(1)),
    _seen("a whole number is no truth", "present.calls", TRUTH),
    _seen("a text is no double", "present.reason", NUMBER),
    _seen("a list is no text", "present.words", texts()),
    _seen("a text is no list", "present.pages", TEXT),
    _seen("a text is no moment", "present.since", TEXT),
    _seen("NaN is refused", "present.sentiment", double(float("nan"))),
    _seen("infinity is refused", "present.cart_value", double(float("inf"))),
    _seen("minus infinity is refused", "present.sentiment", double(float("-inf"))),
    _seen("below low is refused", "present.sentiment", double(-1.01)),
    _seen("above high is refused", "present.sentiment", double(1.01)),
    _seen("the largest double is out of range", "present.sentiment", double(1.7e308)),
    _seen("below a whole low is refused", "present.calls", whole(-1)),
    _seen("above a whole high is refused", "present.calls", whole(101)),
    _seen("the largest int64 is not kept exactly", "present.count", whole(2**63 - 1)),
    _seen("the smallest int64 is not kept exactly", "present.count", whole(-(2**63))),
    _seen("2^53 is not told from its neighbour", "present.count", whole(2**53)),
    _seen("an undeclared category is refused", "present.reason", text("rant")),
    _seen("an empty category is refused", "present.reason", text("")),
    _seen("1,025 characters are too many", "present.words", text("x" * 1_025)),
    _seen("a text holds no NUL", "present.words", text("a\x00b")),
    _seen("a text holds no escape", "present.words", text("\x1b[2J")),
    _seen("a text holds no direction override", "present.words", text("a\u202eb")),
    _seen("65 texts are too many", "present.pages", texts(*["x"] * 65)),
    _seen("each text of a list is bounded", "present.pages", texts(*["x" * 1_025])),
    _seen("each text of a list is clean", "present.pages", texts(*["ok", "\x07"])),
    _seen("the year 0 is no moment", "present.since", moment(YEAR_0)),
    _seen("the year 10000 is no moment", "present.since", moment(YEAR_10000)),
    _seen("the largest seconds are no moment", "present.since", moment(Timestamp(seconds=2**63 - 1))),
    _seen("negative nanos are no moment", "present.since", moment(Timestamp(nanos=-1))),
    _seen("too many nanos are no moment", "present.since", moment(Timestamp(nanos=10**9))),
    ("an idempotency key has 64 bytes at most", ask(idempotency_key="k" * 65), "idempotency_key"),
    ("bytes of a key count, not characters", ask(idempotency_key="€" * 22), "idempotency_key"),
    ("a request id has 64 bytes at most", ask(request_id="r" * 10_000), "request_id"),
    ("as_of needs a flag", ask(as_of=Timestamp(seconds=NOW_MS // 1000)), "as_of"),
)  # fmt: skip

AS_OF: tuple[Row, ...] = (
    ("as_of before 2000 is refused", ask(as_of=YEAR_1999), "as_of"),
    ("as_of at the beginning of time is refused", ask(as_of=Timestamp(seconds=-(2**63))), "as_of"),
    ("as_of in the year 9999 is refused", ask(as_of=YEAR_9999), "as_of"),
    ("an unset moment is the year 1970", ask(as_of=Timestamp()), "as_of"),
)

EVENTS: tuple[Row, ...] = (
    ("an event id is required", event(event_id=""), "event_id"),
    ("an event id of 10 kB is too long", event(event_id="e" * 10_000), "event_id"),
    ("65 bytes of an event id are one too many", event(event_id="e" * 65), "event_id"),
    ("an event id is no blank", event(event_id=" "), "event_id"),
    ("an event id is clean", event(event_id="e\x00"), "event_id"),
    ("an event id is not disguised", event(event_id="e\u202e1"), "event_id"),
    ("an event needs a customer", event(customer_id=""), "customer_id"),
    ("an event's customer is clean", event(customer_id="a\tb"), "customer_id"),
    ("an event's customer is no blank", event(customer_id="\u3000"), "customer_id"),
    ("an event's customer has 128 bytes at most", event(customer_id="c" * 129), "customer_id"),
    ("an event needs a type", event(type=""), "type"),
    ("an unknown event is refused", event(type="birthday"), "type"),
    ("an event is spelt as the strategy spells it", event(type="Purchase"), "type"),
    ("an event's type of 100 kB is unknown", event(type="t" * 100_000), "type"),
    ("an event needs its moment", event(occurred_at=None), "occurred_at"),
    ("an event is at most 5 minutes in the future", event(occurred_at=FUTURE), "occurred_at"),
    ("an event in the year 9999 is refused", event(occurred_at=YEAR_9999), "occurred_at"),
    ("an event before 2000 is refused", event(occurred_at=YEAR_1999), "occurred_at"),
    ("an event in the year 0 is refused", event(occurred_at=YEAR_0), "occurred_at"),
    ("an event in the year 10000 is refused", event(occurred_at=YEAR_10000), "occurred_at"),
    ("an event at the end of time is refused", event(occurred_at=Timestamp(seconds=2**63 - 1)), "occurred_at"),
    ("an event has no negative nanos", event(occurred_at=Timestamp(seconds=NOW_MS // 1000, nanos=-1)), "occurred_at"),
    ("an event's nanos are less than a second",
     event(occurred_at=Timestamp(seconds=NOW_MS // 1000 - 9, nanos=10**9)), "occurred_at"),
    ("a required attribute is missing", event(attributes={"product": TEXT}), 'attributes["amount"]'),
    _told("an unknown attribute is refused", "colour", TEXT),
    _told("an attribute's name is spelt exactly", "Number", whole(1)),
    ("an attacker's attribute is not repeated", event(type="noted", attributes={"a\n\"b": TEXT}),
     'attributes["…"]'),
    _told("an attribute without a value is refused", "number", Value()),
    _told("an attribute has its declared type", "number", NUMBER),
    _told("a text is no number", "share", text("12.5")),
    _told("a number is no text", "text", whole(5)),
    _told("a truth is no number", "number", TRUTH),
    _told("a text is no list of texts", "texts", TEXT),
    _told("a moment is no text", "text", moment(YEAR_1999)),
    _told("an attribute is not NaN", "share", double(float("nan"))),
    _told("an attribute is not infinite", "share", double(float("inf"))),
    _told("an attribute is not minus infinite", "share", double(float("-inf"))),
    _told("what is added up stays exact", "share", double(-9_007_199_255.0)),
    _told("what is added up is not endless", "share", double(1.7e308)),
    _told("an attribute's int is kept exactly", "number", whole(2**63 - 1)),
    _told("an attribute's int is kept exactly below zero", "number", whole(-(2**53))),
    _told("an attribute's text is bounded", "text", text("x" * 1_025)),
    _told("a text of 100 kB is too long", "text", text("x" * 100_000)),
    _told("an attribute's list is bounded", "texts", texts(*["x"] * 65)),
    _told("each text of an attribute's list is bounded", "texts", texts("ok", "x" * 1_025)),
    _told("each text of an attribute's list is clean", "texts", texts("ok", "\x1b[2J")),
    _told("an attribute's text holds no direction override", "text", text("a\u202eb")),
    _told("an attribute's text is clean", "text", text("\x00")),
    ("an attribute's low holds", event(attributes={"amount": double(-1), "product": TEXT}), 'attributes["amount"]'),
    ("an attribute's high holds", event(attributes={"amount": double(1e9), "product": TEXT}), 'attributes["amount"]'),
    ("an attribute's categories hold", event(type="loyalty.changed", attributes={"tier": TEXT}), 'attributes["tier"]'),
)  # fmt: skip

CONSENTS: tuple[Row, ...] = (
    ("a consent needs a customer", context_pb2.SetConsentRequest(consent=consent().consent), "customer_id"),
    ("a consent is required", context_pb2.SetConsentRequest(customer_id="c-1"), "consent"),
    ("a level is required", consent(level=""), "consent.level"),
    ("an unknown level is refused", consent(level="everything"), "consent.level"),
    ("an unknown channel cannot be permitted", consent(contact_channels=["fax"]), "consent.contact_channels[0]"),
    ("a channel is permitted once", consent(contact_channels=["web", "web"]), "consent.contact_channels[1]"),
    ("more channels than there are", consent(contact_channels=["web"] * 9), "consent.contact_channels"),
    ("a source has 64 bytes at most", consent(source="s" * 65), "consent.source"),
    ("a source is clean", consent(source="a\nb"), "consent.source"),
    ("a consent is not given in the future", consent(given_at=FUTURE), "consent.given_at"),
    ("a consent is not given before 2000", consent(given_at=Timestamp()), "consent.given_at"),
)

OUTCOMES: tuple[Row, ...] = (
    ("a decision id is required", outcome(decision_id=""), "decision_id"),
    ("a decision id has 26 characters", outcome(decision_id="0ab" + "2" * 22), "decision_id"),
    ("a decision id is not another key", outcome(decision_id="*" * 26), "decision_id"),
    ("an action is required", outcome(action_id=""), "action_id"),
    ("an action of 10 kB is too long", outcome(action_id="a" * 10_000), "action_id"),
    ("a kind is required", outcome(kind=outcome_pb2.OUTCOME_KIND_UNSPECIFIED), "kind"),
    ("an unknown kind is refused", outcome(kind=99), "kind"),
    ("an amount is finite", outcome(amount=float("nan")), "amount"),
    ("an outcome is not in the future", outcome(occurred_at=FUTURE), "occurred_at"),
    ("an outcome is not before 2000", outcome(occurred_at=YEAR_1999), "occurred_at"),
)
