"""Claims about the sections `outcomes` and `worth`: what they mean, and that every mistake is named where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.documents import DocumentsRefused
from models.outcomes import Outcome, Outcomes, Reported, Sign
from service.core.loader import load_strategy
from tests.strategies import SECTIONS, write_strategy
from training.errors import TrainingRefused
from training.strategy import read_strategy

MORE_EVENTS = """\
  - id: redeemed
    says: A coupon was used.
    attributes: {offer: string, paid: double, at: timestamp, kind: {type: string, values: [app, till]}}
"""


def folder_of(home: Path, more: str, model: str = "") -> Path:
    """Write the small strategy of the tests with more sections, and more words in its section `model`."""
    changed = SECTIONS["model"].replace("model:\n", f"model:\n  {model}\n" if model else "model:\n")
    return write_strategy(home / "strategy", events=SECTIONS["events"] + MORE_EVENTS, model=changed, outcomes=more)


def outcomes_of(home: Path, more: str, model: str = "") -> Outcomes:
    """Return what the strategy says of outcomes; the service reads it without a complaint, too."""
    folder = folder_of(home, more, model)
    load_strategy(folder)
    return read_strategy(folder).outcomes


def problems_of(home: Path, more: str, model: str = "") -> str:
    """Return the problems that serving names; training names the same."""
    folder = folder_of(home, more, model)
    with pytest.raises(DocumentsRefused) as refused:
        load_strategy(folder)
    with pytest.raises(TrainingRefused) as untrained:
        read_strategy(folder)
    assert str(untrained.value) == str(refused.value)
    return str(refused.value)


GOOD = """\
outcomes:
  - id: redeemed
    says: The coupon was used.
    of: {kinds: [offer], groups: [internet, phones]}
    event: redeemed
    match: offer
    where: {kind: till}
    within: 10d
    influenced_by: {kinds: [shown, clicked]}
  - {id: spend, says: Money spent., event: purchase, amount: amount, within: 36h, at_most: 100}
  - {id: sold, says: Sold., of: {intents: [upsell]}, kinds: [accepted], amount: reported}
worth: {spend: 0.3, sold: 1, reward: -1, cost: -2.5}
"""


def test_outcomes_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Which actions they are of, what tells them, within what time, what they amount to, and what it is worth."""
    found = outcomes_of(tmp_path, GOOD, "outcome: redeemed")
    every = ("greet", "greet-gold", "fibre-upgrade", "new-phone", "ticket-status", "apology")
    till = Sign("redeemed", (), "offer", (("kind", "till"),))
    led_by = Sign(kinds=(Reported.SHOWN, Reported.CLICKED))
    hours = 3_600_000
    assert found.declared == (
        Outcome("redeemed", "The coupon was used.", ("fibre-upgrade", "new-phone"), till, 240 * hours,
                influenced_by=led_by),
        Outcome("spend", "Money spent.", every, Sign("purchase"), 36 * hours, "amount", 100.0),
        Outcome("sold", "Sold.", ("fibre-upgrade",), Sign(kinds=(Reported.ACCEPTED,)), None, "reported"),
    )  # fmt: skip
    assert found.worth == {"spend": 0.3, "sold": 1.0, "reward": -1.0, "cost": -2.5}
    assert (found.predicted, found.influenced, found.implied) == ("redeemed", False, False)
    assert found.events == ("redeemed", "purchase")


def test_a_strategy_need_not_declare_outcomes(tmp_path: Path) -> None:
    """Then accepted is the only one, of every action, and earns its amount less what the action costs."""
    found = outcomes_of(tmp_path, "time_zone: {default: UTC}\n")
    assert [outcome.id for outcome in found.declared] == ["accepted"]
    assert found.implied
    assert found.worth == {"accepted": 1.0, "reward": -1.0, "cost": -1.0}
    assert len(found.target.of) == len(found.actions) == 6
    assert found.events == ()


def test_models_predict_the_first_outcome_unless_told_otherwise(tmp_path: Path) -> None:
    """`model: {outcome: …}` names another one, and `influenced: true` counts only what was led to."""
    assert outcomes_of(tmp_path, GOOD).predicted == "redeemed"
    assert outcomes_of(tmp_path, GOOD, "outcome: spend").target.id == "spend"
    assert outcomes_of(tmp_path, GOOD, "influenced: true").influenced


def test_without_a_worth_the_money_of_the_action_counts(tmp_path: Path) -> None:
    """Value and reward when the predicted outcome happens, the cost always."""
    found = outcomes_of(tmp_path, GOOD[: GOOD.index("worth")])
    assert found.worth == {"value": 1.0, "reward": -1.0, "cost": -1.0}


ONE = "outcomes:\n  - {id: sold, says: Sold., %s}\n"
MISTAKES: dict[str, tuple[str, str]] = {
    "no list": ("outcomes: {id: sold}\n", "outcomes.yaml:1: the section `outcomes` is a mapping; write a list"),
    "no id": ("outcomes: [{says: S., kinds: [accepted]}]\n", "outcomes.yaml:1: the outcome has no `id`"),
    "an id twice": (
        "outcomes:\n  - {id: a, says: A., kinds: [shown]}\n  - {id: a, says: B., kinds: [never]}\n",
        "outcomes.yaml:3: the id `a` is taken by outcomes.yaml:2",
    ),
    "an id with a meaning": ("outcomes: [{id: accepted, says: S., kinds: [accepted]}]\n", "has a meaning of its own"),
    "the id of a term": ("outcomes: [{id: cost, says: S., kinds: [accepted]}]\n", "`cost` has a meaning of its own"),
    "no sentence": ("outcomes: [{id: sold, kinds: [accepted]}]\n", "the outcome has no `says`"),
    "nothing that tells it": (ONE % "within: 1d", "has neither `event` nor `kinds`; write `event` for what events"),
    "two that tell it": (ONE % "within: 1d, event: redeemed, kinds: [shown]", "has both `event` and `kinds`"),
    "an unknown event": (ONE % "event: redemed, within: 1d", "no known event; did you mean `redeemed`?"),
    "no kinds": (ONE % "kinds: []", "`kinds` names nothing that is reported; name one of shown, clicked,"),
    "an unknown kind": (ONE % "kinds: [bought]", "`kinds` is `bought`; write shown, clicked, accepted,"),
    "a window without an end": (ONE % "event: redeemed", "the outcome has no `within`; write a time such as"),
    "a window of nothing": (ONE % "event: redeemed, within: 0d", "`within` is `0d`; write a time such as"),
    "a match of nothing": (ONE % "event: redeemed, within: 1d, match: ofer", "did you mean `offer`?"),
    "a match of a number": (ONE % "event: redeemed, within: 1d, match: paid", "`match` names `paid`, which is double"),
    "a match of a report": (ONE % "kinds: [shown], match: offer", "`match` is about events, and this is reported"),
    "a filter of a report": (ONE % "kinds: [shown], where: {kind: till}", "`where` is about events"),
    "a filter of nothing": (ONE % "event: redeemed, within: 1d, where: {shop: a}", "`where` names `shop`, which is no"),
    "an impossible filter": (ONE % "event: redeemed, within: 1d, where: {kind: car}", "no known value of kind"),
    "an amount of nothing": (ONE % "event: redeemed, within: 1d, amount: price", "no known attribute of redeemed"),
    "an amount in words": (ONE % "event: redeemed, within: 1d, amount: offer", "name one of type int or double"),
    "an amount of a report": (ONE % "kinds: [shown], amount: paid", "`amount` names `paid`, which is no known amount"),
    "a bound of a count": (ONE % "kinds: [shown], at_most: 3", "`at_most` bounds a sum, and there is no `amount`"),
    "a bound below nothing": (ONE % "kinds: [shown], amount: reported, at_most: -1", "`at_most` is `-1`; write a"),
    "what happens anyway, of a report": (
        ONE % "kinds: [accepted], anyway: true",
        "outcomes.yaml:2: `anyway` is about an event that names the action by `match`, and what is reported names a",
    ),
    "what happens anyway, of no action": (
        ONE % "event: redeemed, within: 1d, anyway: true", "and an event that names no action tells it already"
    ),
    "perhaps anyway": (ONE % "event: redeemed, within: 1d, match: offer, anyway: perhaps", "write true or false"),
    "of nobody": (ONE % "kinds: [shown], of: {kinds: [message], groups: [phones]}", "no action is meant by `of`"),
    "of an unknown action": (ONE % "kinds: [shown], of: {ids: [fibre]}", "names `fibre`, which is no known action;"),
    "of all and some": (ONE % "kinds: [shown], of: {all: true, ids: [greet]}", "`all` stands alone and is true"),
    "of nothing": (ONE % "kinds: [shown], of: {}", "is empty; write a selector such as {intents: [upsell]}"),
    "of a channel": (ONE % "kinds: [shown], of: {channels: [web]}", "has no key `channels`"),
    "a strange key": (ONE % "kinds: [shown], withn: 1d", "an outcome has no key `withn`; did you mean `within`?"),
    "influence by nothing": (ONE % "kinds: [shown], influenced_by: {}", "`influenced_by` has neither `event` nor"),
    "influence with more": (ONE % "kinds: [shown], influenced_by: {kinds: [shown], within: 1d}", "has no key `within`"),
    "a worth of nothing": (ONE % "kinds: [shown]" + "worth: {slod: 1}\n", "which is no outcome; did you mean `sold`?"),
    "a worth in words": (ONE % "kinds: [shown]" + "worth: {sold: much}\n", "`sold` is `much`; write a number from"),
    "an empty worth": (ONE % "kinds: [shown]" + "worth: {}\n", "the section `worth` is no mapping; write what counts"),
    "a worth that is a list": (ONE % "kinds: [shown]" + "worth: [sold]\n", "the section `worth` is no mapping"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_where_they_stand(tmp_path: Path, mistake: str) -> None:
    """Serving and training name the same mistake with file, line and what would be right, and nothing besides it."""
    more, words = MISTAKES[mistake]
    told = problems_of(tmp_path, more)
    assert words in told
    assert told.startswith("outcomes.yaml:")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("outcome: spent", "model.yaml:2: `outcome` names `spent`, which is no known outcome; did you mean `spend`?"),
        ("influenced: perhaps", "model.yaml:2: `influenced` is `perhaps`; write true or false"),
    ],
    ids=["no outcome", "no truth"],
)
def test_mistakes_of_the_model_are_named(tmp_path: Path, model: str, words: str) -> None:
    """What models predict is one of the outcomes."""
    assert words in problems_of(tmp_path, GOOD, model)


def test_only_what_can_be_influenced_is_asked_for(tmp_path: Path) -> None:
    """`influenced: true` needs an outcome that says what influences it."""
    wrong = problems_of(tmp_path, ONE % "kinds: [shown]", "influenced: true")
    assert "model.yaml:2: `sold` does not say what influences it; give it `influenced_by`" in wrong


def test_the_guide_shows_what_is_right(tmp_path: Path) -> None:
    """The example of docs/strategies.md is taken by serving and training as it stands there."""
    guide = Path(__file__).parent.parent.parent / "docs" / "strategies.md"
    example = guide.read_text().partition("## Outcomes")[2].partition("```yaml\n")[2].partition("```")[0]
    folder = write_strategy(tmp_path / "s", events=SECTIONS["events"] + MORE_EVENTS, model=None, outcomes=example)
    load_strategy(folder)
    found = read_strategy(folder).outcomes
    assert (found.predicted, found.influenced, len(found.declared)) == ("redeemed", True, 2)
