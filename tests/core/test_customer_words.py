"""What customers are told of why they see something, in words to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.context import Audience, Field, Told
from service.core.customer_words import CUSTOMERS, because
from service.core.decision import Answer, Reason, ReasonCode
from service.core.depths import Depths
from service.core.explained import Depth, Explanation, Fit, Story
from tests.core.expressions import SCHEMA
from tests.core.worlds import EMPTY

WORTH, CAP, GUARD = ReasonCode.HIGHEST_NET_VALUE, ReasonCode.CAP_REACHED, ReasonCode.GUARDRAIL
TIER = replace(SCHEMA.fields[SCHEMA.index["past.tier"]], says="The tier in the club.", known_as="your tier")
SPEND = replace(SCHEMA.fields[SCHEMA.index["past.spend"]], says="What was spent.")


@pytest.mark.parametrize(
    ("action", "codes", "fits", "said"),
    [
        ("fibre", (WORTH,), (TIER, SPEND, TIER), "it fits what we know of you: your tier; What was spent."),
        ("fibre", (WORTH,), (), "of what we may say here, it seems to fit best."),
        ("fibre", (ReasonCode.PROMISED, WORTH), (TIER,), "it was promised to you."),
        ("fibre", (ReasonCode.EXPLORATION,), (TIER,), "it was drawn by chance"),
        ("hello", (ReasonCode.SAFE_GREETING,), (), "it is how we greet everybody."),
        ("hello", (ReasonCode.STORE_UNAVAILABLE,), (), "not everything could be looked up in time"),
        ("", (CAP, GUARD), (), "we have told you enough for now."),
        ("", (GUARD, CAP), (TIER,), "nothing that we could say fits now."),
        ("", (), (), "nothing that we could say fits now."),
    ],
)  # fmt: skip
def test_the_first_reason_is_put_in_words(
    action: str, codes: Sequence[ReasonCode], fits: Sequence[Field], said: str
) -> None:
    """Each kind of reason has its words, those that come first count, and a rule is never named."""
    sentence = because(action, codes, fits)
    assert said in sentence
    assert sentence.startswith("You see this because" if action else "You see nothing here because")


def test_every_reason_has_words_to_a_customer() -> None:
    """No reason that the service gives is without words to a customer."""
    assert set(CUSTOMERS) == set(ReasonCode)


@pytest.mark.parametrize("depth", Depth)
def test_only_what_customers_are_told_is_named_to_them(depth: Depth) -> None:
    """Of the rules by which something was permitted the sentence names the fields of those that customers are told
    whole, also in what agents and auditors read; by how customers know them, where that is written.
    """
    secret = replace(SPEND, told=Told.SENSITIVE)
    inside = replace(SCHEMA.fields[SCHEMA.index["present.reason"]], says="For us alone.", told_to=Audience.AGENT)
    changed = {field.id: field for field in (TIER, secret, inside)}
    schema = replace(SCHEMA, fields=tuple(changed.get(field.id, field) for field in SCHEMA.fields))
    depths = Depths(replace(EMPTY, schema=schema))
    read = (("past.tier",), ("past.spend", "past.joined"), ("present.reason",))
    told = Explanation(
        (),
        (),
        "full",
        (Story("hero", "hello", (), fits=tuple(Fit(one, one) for one in read)),),
    )
    answers = (Answer("hero", "hello", "greeting", "", (), 1.0, 1.0, (Reason(WORTH, ""),)),)
    (story,) = depths.explanation(told, answers, depths.at(depth)).placements
    assert story.sentence == "You see this because it fits what we know of you: your tier."
