"""The rule of each field that a caller can send, from its comment in the contract."""

from __future__ import annotations

from collections.abc import Mapping

from tests.edge.hostile.good import HEAD
from tests.edge.hostile.rules import (
    Rule,
    any_moment,
    counted,
    decision,
    everything,
    expires,
    finite,
    free,
    matching,
    missing,
    name,
    names,
    not_allowed,
    number,
    numbers_of_enum,
    one_of,
    past,
    placements,
    recent,
    switch,
    text,
    values,
    within,
    words_of,
)

_CUSTOMER = name(128)
RULES: Mapping[str, Mapping[str, Rule]] = {
    "DecideRequest": {
        "customer_id": _CUSTOMER,
        "channel": one_of(),
        "placements": placements,
        "context": values(
            {"present.calls": "int", "present.count": "int", "present.since": "timestamp", "present.words": "string",
             "present.pages": "strings", "present.waiting": "bool", "present.cart_value": "double"}, 64,
        ),
        "explain": free,
        "idempotency_key": text(64),
        "request_id": text(64),
        "as_of": not_allowed,
        "explain_depth": numbers_of_enum(range(4)),
    },
    "DecideBatchesRequest": {"requests": within},
    "WatchRequest": {
        "question": missing, "cursor": matching(f"{'0a' * 12}-1-2-{'0b' * 8}"),
        "heartbeat_ms": number(good=range(1_000, 60_001), also=(0,)), "every_cause": free,
    },
    "ValidateDecisionRequest": {"decision_id": decision, "as_of": not_allowed},
    "ExplainDecisionRequest": {
        "decision_id": decision, "depth": numbers_of_enum(range(4)), "what_if": within, "action_ids": counted(100),
    },
    "WhatIf": {
        "action_id": missing,
        "goal": numbers_of_enum(range(3)),
        "placement": free,
        "most_changes": number(good=range(5)),
    },
    "RecordEventsRequest": {"events": within},
    "Event": {
        "event_id": name(64),
        "customer_id": _CUSTOMER,
        "type": one_of("ticket", "Purchase"),
        "occurred_at": past(required=True),
        "attributes": values({"text": "string", "number": "int", "share": "double", "texts": "strings"}),
    },
    "GetContextRequest": {"customer_id": _CUSTOMER, "as_of": not_allowed},
    "SetConsentRequest": {"customer_id": _CUSTOMER, "consent": missing},
    "Consent": {
        "level": one_of(),
        "contact_channels": words_of(),
        "given_at": past(required=False),
        "source": text(64, plain=True),
        "arrived_at": free,
    },
    "GetConsentRequest": {"customer_id": _CUSTOMER, "history": free},
    "RecordOutcomesRequest": {"outcomes": within},
    "Outcome": {
        "decision_id": decision,
        "action_id": name(128),
        "kind": numbers_of_enum(range(1, 7)),
        "occurred_at": past(required=False),
        "amount": finite,
    },
    "LinkIdentityRequest": {"alias_id": _CUSTOMER, "customer_id": _CUSTOMER},
    "UnlinkIdentityRequest": {"alias_id": _CUSTOMER, "customer_id": name(128, required=False)},
    "GetIdentitiesRequest": {"customer_id": _CUSTOMER},
    "RecordPredictionsRequest": {"predictions": within},
    "Prediction": {
        "customer_id": _CUSTOMER,
        "model_version": name(96),
        "computed_at": past(required=True),
        "values": values({"predicted.churn": "share"}, 64, least=1),
    },
    "WatchChangesRequest": {
        "most": number(good=range(1_001)),
        "lease_seconds": number(good=range(5, 3_601), also=(0,)),
        "until_none": free,
    },
    "FinishChangesRequest": {"changes": within},
    "Change": {"customer_id": _CUSTOMER, "loan": matching("1800000000000.001")},
    "ExportCustomerRequest": {"customer_id": _CUSTOMER},
    "EraseCustomerRequest": {"customer_id": _CUSTOMER, "rewrite_append_only_file": free},
    "ReportSupplyRequest": {"reports": within},
    "SupplyReport": {
        "item": name(64),
        "place": name(64),
        "available": number(good=range(1_000_000_001)),
        "observed_at": past(required=True),
        "expires_at": expires,
    },
    "WatchDemandRequest": {"cursor": matching("0-0-1"), "items": names(64, 64), "until_none": free},
    "GetStatusRequest": {},
    "SetSwitchRequest": {
        "action_id": switch,
        "everything": everything,
        "state": numbers_of_enum(range(1, 3)),
        "because": text(500, plain=True, required=True),
        "by": text(128, plain=True),
        "even_unknown": free,
    },
    "ListSwitchesRequest": {},
    "ReadLogRequest": {"positions": within},
    "LogPosition": {"bucket": number(good=range(1_024)), "decisions": matching("1-0"), "outcomes": matching("1-0")},
    "VerifyLogRequest": {"anchors": within, "unlinked_until": any_moment},
    "LogAnchor": {
        "bucket": number(good=range(1_024)), "chain": numbers_of_enum(range(1, 3)), "head": matching(HEAD),
    },
    "SubscribeRequest": {
        "channel": one_of(),
        "most": number(good=range(1_001)),
        "lease_seconds": number(good=range(3_601)),
        "until_none": free,
    },
    "AcknowledgeRequest": {"channel": one_of(), "acknowledgements": within},
    "Acknowledgement": {
        "name": missing, "loan": matching("1800000000000.001"), "result": numbers_of_enum(range(1, 4)),
    },
    "MomentName": {"customer_id": _CUSTOMER, "trigger_id": name(128), "key": text(64)},
    "ListDeadMomentsRequest": {
        "channel": one_of(), "most": number(good=range(1_001)), "customer_id": name(128, required=False),
    },
    "ReleaseDeadMomentsRequest": {"channel": one_of(), "moments": within, "give_up": free},
    "SearchCustomersRequest": {"query": _CUSTOMER, "limit": number(good=range(51))},
    "GetJourneyRequest": {
        "customer_id": _CUSTOMER, "limit": number(good=range(201)), "page_token": matching("1800000000000"),
    },
    "GetStrategyRequest": {},
    "GetInsightRequest": {"since": recent(31), "step_minutes": number(good=range(1), also=(5, 15, 60, 360, 1_440))},
    "ListErasedRequest": {"customer_ids": names(128, 1_000, least=1)},
    "ReadAuditRequest": {
        "after": matching("1-0"),
        "from": any_moment,
        "until": any_moment,
        "kinds": numbers_of_enum(range(1, 7), most=16),
        "customer_id": name(128, required=False),
        "head": matching(HEAD),
    },
    "HealthCheckRequest": {"service": text(256)},
    "ServerReflectionRequest": {
        "host": free, "file_by_filename": free, "file_containing_symbol": free, "file_containing_extension": free,
        "all_extension_numbers_of_type": free, "list_services": free,
    },
}  # fmt: skip
"""The rule of each field of each message that a caller sends, by the message's name."""

NO_RULES = ("google.protobuf.Timestamp", "tact.v1.Value", "tact.v1.StringList")
"""Messages that their holders have rules for."""
