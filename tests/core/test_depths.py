"""Whoever asks is told what the strategy tells them, and nothing beside it gives the rest away."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import pytest

from models.context import Scalar, Told
from service.core.again import Again
from service.core.decision import Decision
from service.core.engine import Engine
from service.core.explained import Depth
from service.core.strategy import Strategy
from service.rpc.convert_answer import answer_of
from service.rpc.plain import plain
from tests.core.telling import STRATEGIES, decisions, lost_by, real, texts_in

ANSWERS = int(os.environ.get("TACT_ANSWERS_TOLD", "120"))
"""How many answers are told, over all strategies; each decision is told three times."""

FIELD = re.compile(r"\b(?:past|present|predicted)\.[a-z0-9_]+")
WORDS = ("sentence", "text", "incomplete")


def answers(name: str) -> Iterator[tuple[Engine, Again, Decision, Random]]:
    """Yield explained decisions of a strategy."""
    dice = Random(f"told {name}")
    for engine, made, decision in islice(decisions(real(name), dice), max(1, ANSWERS // 3 // len(STRATEGIES))):
        yield engine, made, decision, dice


def rules_of(strategy: Strategy) -> frozenset[str]:
    """Return the ids of everything that has one and is no action."""
    kinds: tuple[tuple[Any, ...], ...] = (
        strategy.guardrails, strategy.eligibility, strategy.caps, strategy.weights, strategy.cool_offs,
        strategy.promises, strategy.exemptions,
    )  # fmt: skip
    return frozenset(rule.id for rules in kinds for rule in rules)


def sentences_in(message: Any) -> Iterator[str]:  # noqa: ANN401 - plain values of any depth
    """Yield everything in an answer that is there to be read or said."""
    if isinstance(message, dict):
        for name, inside in message.items():
            if isinstance(inside, str) and name in WORDS:
                yield inside
            else:
                yield from sentences_in(inside)
    elif isinstance(message, list):
        for inside in message:
            yield from sentences_in(inside)


def spelled(value: Scalar) -> Iterator[str]:
    """Yield how a value may stand in words, where that is nothing which stands there anyway."""
    for one in value if isinstance(value, tuple) else (value,):
        text = f"{one:.2f}" if isinstance(one, float) else str(one)
        if len(text) > 5 and not isinstance(one, bool):
            yield text


@pytest.mark.parametrize("name", STRATEGIES)
def test_nobody_is_told_a_field_that_is_not_told_to_them(name: str) -> None:
    """In no text of any answer at any depth stands the path of a field outside the caller's allow-list, however deep is
    asked for; and customers are told the id of no rule.
    """
    seen = 0
    for engine, made, decision, dice in answers(name):
        depths, schema = engine.explainer.depths, engine.strategy.schema
        rules = rules_of(engine.strategy) - {action.id for action in engine.strategy.actions}
        for depth in Depth:
            told = depths.decision(decision, depth, dice.choice((None, *Depth)))
            message = answer_of(told, "", schema)
            allowed = frozenset(schema.index) if depth is Depth.AUDITOR else depths.told(depth)
            assert set(FIELD.findall(str(message))) <= allowed, (depth, made.entry)
            if depth is Depth.CUSTOMER:
                assert rules.isdisjoint(texts_in(plain(message))), made.entry
            seen += 1
    assert seen


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_words_to_a_customer_name_only_what_customers_are_told(name: str) -> None:
    """At every depth the sentence for the customer names no field by its path, and none that customers are not told."""
    for engine, _, decision, _ in answers(name):
        depths, schema = engine.explainer.depths, engine.strategy.schema
        known = [(field.known_as or field.says.rstrip(" ."), field.id) for field in schema.fields]
        both = [(says, name in depths.told(Depth.CUSTOMER)) for says, name in known]
        for depth in Depth:
            told = depths.decision(decision, depth).explanation
            assert told is not None
            for story in told.placements:
                assert story.sentence.startswith("You see ")
                assert not FIELD.search(story.sentence)
                assert not any(says in story.sentence for says, may in both if not may and (says, True) not in both)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_inferred_or_sensitive_value_stands_in_words(name: str) -> None:
    """No sentence and no text of any depth holds the value of a field that is inferred or sensitive."""
    hidden = 0
    for engine, made, decision, _ in answers(name):
        depths, schema = engine.explainer.depths, engine.strategy.schema
        both = zip(schema.fields, made.snapshot.values, strict=True)
        secret = {text for field, v in both if v is not None and field.told is not Told.EXPECTED for text in spelled(v)}
        secret -= {text for field in schema.fields for text in field.bounds.values}  # words that rules may say as well
        hidden += len(secret)
        for depth in Depth:
            told = plain(answer_of(depths.decision(decision, depth), "", schema))
            for sentence in sentences_in(told):
                assert not any(text in sentence for text in secret), (depth, sentence)
    assert hidden


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_agreed_to_no_more_is_withheld(name: str) -> None:
    """Of a field whose purpose the consent of now lacks neither path nor value is told, at any depth; nor is a score
    that rests on such a field.
    """
    withheld = 0
    for engine, _, decision, dice in answers(name):
        strategy, lost = engine.strategy, lost_by(dice)
        depths = engine.explainer.depths
        gone = {field.id for field in strategy.schema.fields if field.purpose in lost}
        scoring = gone.intersection(strategy.features)
        for depth in Depth:
            sieve = depths.at(depth, lost)
            assert decision.explanation is not None
            explanation = depths.explanation(decision.explanation, decision.answers, sieve)
            told = Decision("", tuple(map(sieve.answer, decision.answers)), "", "", 0, explanation=explanation)
            message = plain(answer_of(told, "", strategy.schema))
            named = {found for text in texts_in(message) for found in FIELD.findall(text)}
            assert named.isdisjoint(gone), depth
            if scoring:
                assert all(fate.net_value is None and fate.score is None for fate in explanation.fates)
                assert all(answer.net_value == 0.0 for answer in told.answers)
                withheld += 1
    assert withheld or not real(name).features


def test_an_auditor_is_told_everything() -> None:
    """As long as all is agreed to, nothing is taken from what an auditor is told but that it is said how deep it is."""
    for engine, _, decision, _ in answers("demo"):
        told = engine.explainer.depths.decision(decision, Depth.AUDITOR)
        assert told.answers == decision.answers
        assert told.explanation is not None
        assert decision.explanation is not None
        assert told.explanation.fates == decision.explanation.fates
        assert told.explanation.fields == decision.explanation.fields
        assert told.explanation.depth is Depth.AUDITOR


def test_each_depth_tells_what_the_one_before_it_tells() -> None:
    """What customers are told agents are told, and what agents are told auditors are."""
    for engine, _, _, _ in answers("trucks"):
        depths = engine.explainer.depths
        told = [depths.told(depth) for depth in Depth]
        assert told[0] <= told[1] <= told[2] == frozenset(engine.strategy.schema.index)
