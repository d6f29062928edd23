"""What the causes of a message name: never what the consent of now does not allow to know."""

from __future__ import annotations

import pytest

from service.core.depths import Sieve
from service.core.explained import Depth
from service.core.loader import load_strategy
from service.core.strategy import ConsentLevel
from service.listening import Kind, Told
from service.rpc.convert_watch import Telling
from service.watching_people import EVENT, PREDICTION, SWITCH, Heard
from tact.v1 import decision_pb2 as pb
from tests.cli.commands import DEMO

STRATEGY = load_strategy(DEMO)
LEVELS = {level.id: level for level in STRATEGY.levels}
EVERYTHING = Sieve(Depth.AUDITOR, None, frozenset(), scores=True, rules={})


def named(kind: str, name: str, level: ConsentLevel | None) -> pb.WatchCause:
    """Return the cause as it is told at a consent level."""
    told = Told(Kind.UNCHANGED, 7, "", causes=(Heard(7, kind, name, "case-4711", 1),), level=level)
    (cause,) = Telling(STRATEGY).message(told, None, EVERYTHING, 1).causes
    return cause


@pytest.mark.parametrize("event", [*STRATEGY.schema.events, "not.declared"])
@pytest.mark.parametrize("level", [None, LEVELS["none"]])
def test_no_event_is_named_without_consent(event: str, level: ConsentLevel | None) -> None:
    """Each type that the demo declares, also those that feed no field, and one that it does not declare: without
    consent, and where it is not known, only the kind is told.
    """
    fed = [
        field for field in STRATEGY.schema.fields if field.fold and event in (field.fold.event, field.fold.closed_by)
    ]
    allowed = bool(fed) and level is not None and all(field.purpose in level.purposes for field in fed)
    cause = named(EVENT, event, level)
    assert cause.kind == pb.WATCH_CAUSE_KIND_EVENT
    assert bool(cause.name or cause.id) == allowed


def test_what_the_consent_allows_is_named() -> None:
    """With full consent the events that feed fields are named, and those that have no purpose are not."""
    assert named(EVENT, "ticket.opened", LEVELS["full"]).id == "case-4711"
    assert not named(EVENT, "not.declared", LEVELS["full"]).id
    assert not named(PREDICTION, "not.declared", LEVELS["full"]).name
    assert named(SWITCH, "fibre-upgrade", None).name == "fibre-upgrade"
