"""Claims about verdicts: what is proven holds, a counterexample is what the real engine decides, all else says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import z3

from models.context import Scalar, TimeZone
from service.core.cel import Checked, check_condition
from service.core.loader import load_strategy
from service.core.rules import Condition
from service.core.strategy import Action, Strategy
from service.proving.prover import Prover
from service.proving.questions import Customer, Decided, Outcome, Question
from tests.strategies import SECTIONS, edited, write_strategy

GUARD = "no-upsell-while-a-ticket-is-open"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the small strategy, in which e-mails with offers rest at night."""
    quiet = (
        'quiet_hours:\n  - {id: night, says: N., forbid: {kinds: [offer], channels: [email]}, between: "21:00-08:00"}\n'
    )
    zone = "time_zone: {default: Asia/Kathmandu}\n"
    return load_strategy(write_strategy(tmp_path_factory.mktemp("small"), quiet=quiet, zone=zone))


def of(strategy: Strategy, name: str) -> Action:
    """Return the action of an id."""
    return next(action for action in strategy.actions if action.id == name)


def condition(strategy: Strategy, source: str) -> Checked:
    """Return a checked condition."""
    return check_condition(source, strategy.schema, strategy.attributes)


def asked(
    strategy: Strategy, source: str, action: str = "fibre-upgrade", channel: str = "web", timeout_s: float = 30.0
) -> tuple[Prover, Question]:
    """Return a prover and the question whether an action may be said where a condition is not known to fail."""
    checked = condition(strategy, source)
    prover = Prover(strategy, timeout_s, [checked])
    said = of(strategy, action)
    not_false = z3.Not(prover.model.truth(checked, said).fails)
    formula = z3.And(prover.model.may_be_said(channel, said), not_false)

    def real(decided: Decided) -> bool:
        return decided.says(action) and prover.court.truth(checked, decided.customer, action) is not False

    return prover, Question("q", "Never.", channel, formula, real, action)


PROVEN = {
    "a rule forbids it": ("past.open_tickets > 0", "fibre-upgrade", "web"),
    "a rule forbids it, too, where nothing is known": ("past.open_tickets > 5", "new-phone", "desk"),
    "a rule permits it to others": ("past.tier == 'basic'", "greet-gold", "web"),
    "the night forbids it": ("present.hour == 23 || present.hour == 7", "new-phone", "email"),
    "a condition over the action forbids it": ("past.open_tickets > 0 && action.kind == 'offer'", "new-phone", "web"),
}


@pytest.mark.parametrize("why", PROVEN)
def test_what_rules_hold_back_is_proven(why: str, small: Strategy) -> None:
    """What never happens is proven, and asking again says the same."""
    prover, question = asked(small, *PROVEN[why])
    assert prover.ask(question).outcome is prover.ask(question).outcome is Outcome.PROVEN


BROKEN = {
    "no rule forbids it": ("present.sentiment < -0.5", "fibre-upgrade", "web"),
    "the rule minds another thing": ("past.open_tickets > 0", "apology", "desk"),
    "an unknown forbids nothing of it": ("past.best_score > 5", "ticket-status", "web"),
    "the evening is not yet night": ("present.hour == 20 && present.weekday == 7", "new-phone", "email"),
    "the permission is given": ("past.open_tickets == 0", "greet", "email"),
}


@pytest.mark.parametrize("why", BROKEN)
def test_what_happens_is_shown_by_somebody_whom_the_real_engine_decides_so(why: str, small: Strategy) -> None:
    """A counterexample is seen by the engine in what a store would keep, and nothing needless is known of them."""
    source, action, channel = BROKEN[why]
    prover, question = asked(small, source, action, channel)
    verdict = prover.ask(question)
    assert verdict.outcome is Outcome.COUNTEREXAMPLE
    assert verdict.decided is not None
    decided, customer = verdict.decided, verdict.decided.customer
    assert decided.seen
    assert question.real(decided)
    assert action in frozenset().union(*decided.may.values())
    assert decided.held[action] == ()
    assert action not in decided.objections
    assert {answer.action for answer in decided.alone} - {""} <= {action}
    told = {small.schema.fields[i].id for i, value in enumerate(customer.values) if value is not None}
    named = {name for name in small.schema.index if name in f"{source} past.open_tickets past.tier"}
    assert told <= named | {"present.hour", "present.weekday"}


def test_a_customer_who_is_not_real_is_no_counterexample(small: Strategy) -> None:
    """Where the real engine decides nobody so whom the solver finds, the verdict is unknown and says that."""
    prover, question = asked(small, "present.sentiment < -0.5")
    verdict = prover.ask(replace(question, real=lambda decided: False))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.decided is None
    assert "the real engine decides none of them so" in verdict.why


def test_values_that_no_store_gives_are_a_last_resort(small: Strategy) -> None:
    """Somebody whom only values show that are seen of nobody is told as such."""
    prover, question = asked(small, "size(past.recent_products) == 0", "apology", "desk")

    def real(decided: Decided) -> bool:
        place = small.schema.index["past.recent_products"]
        return question.real(decided) and decided.customer.values[place] == ()

    verdict = prover.ask(replace(question, real=real))
    assert verdict.outcome is Outcome.COUNTEREXAMPLE
    assert verdict.decided is not None
    assert not verdict.decided.seen


def test_too_little_time_is_told(small: Strategy) -> None:
    """A solver that is given no time says that it did not know in time."""
    prover, question = asked(small, "past.open_tickets > 0", timeout_s=0.0)
    verdict = prover.ask(question)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "did not know within 0 seconds" in verdict.why
    assert prover.possible(question.formula) is None


@pytest.fixture(scope="module")
def beyond(small: Strategy) -> Strategy:
    """Return the small strategy with a rule that goes beyond the solver."""
    rare = Condition("present.reason == '\U00030000' + present.reason", "rules.yaml", 7)
    return replace(small, guardrails=(*small.guardrails, replace(small.guardrails[0], id="rare", when=rare)))


def test_a_rule_beyond_the_solver_may_say_anything(beyond: Strategy) -> None:
    """What is proven without such a rule is proven with it; what hangs on it is unknown, in words that name it."""
    prover, question = asked(beyond, "past.open_tickets > 0")
    assert prover.ask(question).outcome is Outcome.PROVEN
    hangs = z3.And(question.formula.arg(0), z3.BoolVal(True))
    unreal = Question("q", "Never.", "web", hangs, lambda decided: False, "fibre-upgrade")
    verdict = prover.ask(unreal)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "goes beyond the solver" in verdict.why
    assert "U+2FFFF" in verdict.why


def test_a_rule_beyond_the_solver_is_decided_by_the_real_engine(beyond: Strategy) -> None:
    """Somebody whom such a rule does hold back is no counterexample, and somebody whom it does not is one."""
    prover, question = asked(beyond, "past.open_tickets == 0 && present.reason == 'bill'")
    verdict = prover.ask(question)
    assert verdict.decided is not None
    assert verdict.decided.says("fibre-upgrade")


def test_the_names_of_what_excludes_each_other_are_the_fewest(small: Strategy) -> None:
    """Of formulas that cannot all be true those are named of which none can be left out."""
    prover, _ = asked(small, "past.open_tickets > 0")
    truths: dict[str, Callable[[], z3.BoolRef]] = {
        "open": lambda: prover.model.truth(condition(small, "past.open_tickets > 0")).holds,
        "gold": lambda: prover.model.truth(condition(small, "past.tier in ['gold', 'platinum']")).holds,
        "none": lambda: prover.model.truth(condition(small, "past.open_tickets > 0")).fails,
    }
    formulas = {name: made() for name, made in truths.items()}
    assert prover.core(formulas.items()) == ("open", "none")
    assert prover.core([("open", formulas["open"]), ("gold", formulas["gold"])]) is None


def test_a_missing_channel_permission_and_a_missing_consent_hold_back(small: Strategy) -> None:
    """Without permission nobody hears an e-mail, and without consent to personalization nobody an offer."""
    prover, _ = asked(small, "past.open_tickets > 0")
    model = prover.model
    assert prover.possible(model.may_be_said("email", of(small, "greet")), z3.Not(model.permitted)) is False
    assert prover.possible(model.may_be_said("email", of(small, "greet")), model.permitted) is True
    for level, possible in (("none", False), ("service", False), ("personal", True), ("full", True)):
        offered = model.may_be_said("web", of(small, "new-phone"))
        assert prover.possible(offered, model.symbols.at_level(level)) is possible


def test_what_is_out_of_stock_is_held_back(tmp_path: Path) -> None:
    """An action that consumes may be said only where enough is known to be left, by formula and by decision."""
    field = (
        "  - {id: present.phones, says: P., type: int, purpose: service, source: supply, item: phone, place: here}\n"
    )
    actions = edited(
        "actions", "group: phones", "group: phones\n    consumes: {supply: present.phones, units: 2, hold: 1h}"
    )
    strategy = load_strategy(write_strategy(tmp_path, fields=SECTIONS["fields"] + field, actions=actions))
    prover, question = asked(strategy, "present.phones < 2", "new-phone")
    assert prover.ask(question).outcome is Outcome.PROVEN
    prover, question = asked(strategy, "present.phones == 2", "new-phone")
    verdict = prover.ask(question)
    assert verdict.decided is not None
    assert verdict.decided.seen
    assert verdict.decided.customer.values[strategy.schema.index["present.phones"]] == 2


def test_summer_time_is_what_it_is(small: Strategy) -> None:
    """At noon by the world's clock it is two in the afternoon in Berlin in July, and one in January, and never else."""
    berlin = replace(small, schema=replace(small.schema, time_zone=TimeZone("", "Europe/Berlin")))
    for day, hours in (("2026-07-15", {14}), ("2026-01-15", {13})):
        noon = f'now >= timestamp("{day}T12:00:00Z") && now < timestamp("{day}T13:00:00Z")'
        asked_of = {hour: condition(berlin, f"{noon} && present.hour == {hour}") for hour in (12, 13, 14, 15)}
        prover = Prover(berlin, 30.0, asked_of.values())
        can_be = {hour for hour, one in asked_of.items() if prover.possible(prover.model.truth(one).holds)}
        assert can_be == hours


def test_nothing_needless_is_known_of_somebody_who_is_shown(small: Strategy) -> None:
    """Of a customer of whom much is known only that is left without which it would not be so."""
    prover, question = asked(small, "past.tier == 'gold'", "greet-gold")
    facts: dict[str, Scalar] = {"past.tier": "gold", "past.phones": 3, "past.best_score": 9, "past.spend": 7.0}
    values = tuple(facts.get(field.id) for field in small.schema.fields)
    full = next(prover.court.decisions(Customer(values, "full", True, 1_796_083_200_000, "web"), "greet-gold"))
    plain = prover.court.plainest(full, question.real, "greet-gold")
    told = {field.id: value for field, value in zip(small.schema.fields, plain.customer.values, strict=True)}
    known = {name: value for name, value in told.items() if value is not None}
    assert full.seen
    assert question.real(plain)
    assert {name: value for name, value in known.items() if name in facts} == {"past.tier": "gold"}
