"""The strategies that come with Tact: they load, they keep the house's rules, and the demo world lives by them."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from models.clock import Clock
from models.context import Purpose, Source
from models.features import FeatureSpace
from service.core.cel import check_condition
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.judge import Judge
from service.core.loader import load_strategy
from service.core.rules import Kind
from service.core.selection import bits
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy, Treatment, Worded
from service.core.templates import Slot, pieces
from training.worlds import demo, pilot, telling
from training.worlds.facts import Observer, facts_of, may_be_said
from training.worlds.files import moment_ms
from training.worlds.people import Person
from training.worlds.tastes import STRATEGY, read_sayables

STRATEGIES = Path(__file__).parents[2] / "strategies"
ALL = ("demo", "starbucks", "trucks")


@pytest.fixture(scope="module", params=ALL)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    """Return each strategy that comes with Tact."""
    return load_strategy(STRATEGIES / str(request.param))


def test_guardrails_read_only_what_service_allows(strategy: Strategy) -> None:
    """A customer who agreed to service alone is protected by facts, not by ignorance."""
    assert strategy.guardrails
    for rule in strategy.guardrails:
        for field in check_condition(rule.when.source, strategy.schema).fields:
            assert strategy.schema.fields[strategy.schema.index[field]].purpose is Purpose.SERVICE, rule.id


def test_every_field_is_folded_from_an_event_or_comes_with_the_request(strategy: Strategy) -> None:
    """No field is declared that nothing fills but what models write, and the features make a feature space."""
    for field in strategy.schema.fields:
        assert field.fold is None or field.source is Source.MODEL or field.fold.event in strategy.schema.events
    columns = FeatureSpace.of(strategy.schema, strategy.features).columns
    assert len(columns) > len(strategy.features) or not strategy.features


def said_of(treatment: Treatment) -> Iterator[str]:
    """Yield all that a treatment can say, to somebody with a long name and to nobody in particular."""
    for worded in treatment.languages or (Worded("", treatment.text, treatment.otherwise),):
        yield "".join("Maximiliane" if isinstance(piece, Slot) else piece for piece in pieces(worded.text))
        if worded.otherwise:
            yield worded.otherwise


def test_texts_are_short_finished_sentences(strategy: Strategy) -> None:
    """What a customer reads fits on a card, ends as a sentence or a salutation, and holds no placeholder: in every
    language, with a name and without.
    """
    for treatment in (one for action in strategy.actions for one in action.treatments):
        for text in said_of(treatment):
            assert 8 <= len(text) <= 160, text
            assert text[0] in string.ascii_uppercase + string.digits, text
            assert text[-1] in (".?,!" if treatment.channel == "email" else ".?!"), text
            assert not set(text) & set("{}[]<>_"), text


def test_the_safe_greeting_can_be_said_to_anyone(strategy: Strategy) -> None:
    """No rule keeps the safe greeting from a customer of whom nothing is known."""
    judge = Judge(strategy)
    for channel in strategy.channels:
        verdicts = judge.judge(nothing_known(strategy), channel.id)
        allowed = [a for a in strategy.actions if not verdicts.vetoed >> a.index & 1]
        assert strategy.safe_greeting in {action.id for action in allowed}
        assert all(action.kind is not Kind.OFFER for action in allowed)


def nothing_known(strategy: Strategy) -> Snapshot:
    """Return the snapshot of an unknown customer who may be contacted."""
    return Snapshot((None,) * len(strategy.schema.fields), {}, 0, strategy.levels[0], True)


def test_the_demo_has_what_was_asked_for() -> None:
    """At least 25 actions of all kinds on three channels, eight guardrails, three tenses and four consent levels."""
    demo_strategy = load_strategy(STRATEGIES / "demo")
    assert len(demo_strategy.actions) >= 25
    assert {action.kind for action in demo_strategy.actions} == set(Kind)
    assert len(demo_strategy.guardrails) >= 8
    assert {field.tense.value for field in demo_strategy.schema.fields} == {"past", "present", "predicted"}
    assert [level.id for level in demo_strategy.levels] == ["none", "service", "personal", "full"]
    assert {channel.id: channel.permission for channel in demo_strategy.channels} == {
        "desk": False, "web": False, "email": True,
    }  # fmt: skip


def test_with_an_open_ticket_or_a_late_delivery_every_offer_is_vetoed() -> None:
    """The demo's first promise holds for each action that is an offer, on each channel."""
    demo_strategy = load_strategy(STRATEGIES / "demo")
    offers = [action for action in demo_strategy.actions if action.kind is Kind.OFFER]
    for field in ("past.open_tickets", "past.late_deliveries"):
        values: list[object] = [None] * len(demo_strategy.schema.fields)
        values[demo_strategy.schema.index[field]] = 1
        snapshot = Snapshot(tuple(values), {}, 0, demo_strategy.levels[-1], True)  # type: ignore[arg-type]  # ints
        for channel in demo_strategy.channels:
            verdicts = Judge(demo_strategy).judge(snapshot, channel.id)
            held = [
                v
                for v in verdicts.vetoes
                if v.reason.rule.startswith("no-selling-while") and "known" not in v.reason.sentence
            ]
            assert all(any(veto.mask >> offer.index & 1 for veto in held) for offer in offers)


def test_the_pilot_said_exactly_what_the_strategy_permits() -> None:
    """At 2,000 moments of the demo world the actions that could be drawn are those that the compiled rules let pass."""
    demo_strategy = load_strategy(STRATEGIES / "demo")
    judge, schema, sayables = Judge(demo_strategy), demo_strategy.schema, read_sayables()
    observer, moment = Observer(schema), moment_ms(demo.MOMENT)
    world, compared, clock = demo.World(200, 11, moment, STRATEGY), 0, Clock.of(schema)
    assert clock is not None
    for one, happenings in list(world.people())[len(telling.PEOPLE) :]:
        dice = Random(one.id)
        moments = pilot.moments(one, happenings, moment, dice)
        for now_ms, seen in zip(moments, observer.observe(happenings, moments), strict=True):
            channel = dice.choice(("web", "desk", "email"))
            known = seen | pilot.context(channel, one.traits, dice)
            values = [known.get(field.id) for field in schema.fields]
            clock.fill(values, now_ms)
            verdicts = judge.judge(Snapshot(tuple(values), {}, now_ms, demo_strategy.levels[-1], True), channel)
            everything = (1 << len(demo_strategy.actions)) - 1
            permitted = {demo_strategy.actions[i].id for i in bits(everything & ~verdicts.vetoed)}
            facts = facts_of(known, now_ms, channel)
            assert {s.id for s in sayables if may_be_said(s, facts)} == permitted, (one.id, now_ms, facts)
            compared += 1
    assert compared >= 2_000


TROUBLE = {
    "anna-ticket": {"ticket-progress", "ticket-callback"},
    "eve-late-delivery": {"delivery-date", "delivery-apology"},
}


@pytest.mark.parametrize("customer", [person.id for person in telling.PEOPLE])
def test_the_telling_customers_get_telling_answers(customer: str) -> None:
    """Without a model: trouble is spoken of, no consent means no offer, loyalty is thanked, a cart remembered."""
    one = next(person for person in telling.PEOPLE if person.id == customer)
    engine = Engine(load_strategy(STRATEGIES / "demo"), None)
    greeting, hero = (first_said(engine, one, place) for place in ("greeting", "hero"))
    if customer in TROUBLE:
        assert greeting in ("greet-open-ticket", "greet-late-delivery")
        assert hero in TROUBLE[customer]
    elif customer == "ben-noconsent":
        assert (greeting, hero) == ("greet-neutral", "your-data-your-choice")
    else:
        wanted = {
            "carla-loyal": ("greet-one-flight", "almost-platinum"),
            "dave-cart": ("greet-cart", "finish-cart"),
            "frank-leaving": ("greet-welcome-back", "stay-more-data"),
            "gina-refused": ("greet-neutral", "fibre-upgrade"),
        }
        assert (greeting, hero) == wanted[customer]


def first_said(engine: Engine, one: Person, placement: str) -> str:
    """Return the action that ranks first for a person on the web, with what the consent allows and no exploration."""
    schema, moment = engine.strategy.schema, moment_ms(demo.MOMENT)
    (seen,) = Observer(schema).observe(telling.telling_history(one, moment), [moment])
    level = next(level for level in engine.strategy.levels if level.id == one.level)
    values = tuple(seen.get(field.id) if field.purpose in level.purposes else None for field in schema.fields)
    snapshot = Snapshot(values, {}, moment, level, True)
    request = Request(one.id, "web", (placement,), {})
    judged = engine.judge(snapshot, Known(moment, one.level, (), {}, {}), request)
    scores = engine.score(snapshot, judged, request)
    entry = engine.arbitrate("x" * 26, request, snapshot, judged, scores, (0.99,))
    assert engine.check(entry, snapshot).objections == ()
    return entry.placements[0].candidates[0].action
