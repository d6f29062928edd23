"""Conditions on which a release fails: what can be written, what is refused and why, and what figures they look at."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import to_builtins

from service.simulating.gate import NAMES, GateRefused, check, condition, see_channels
from service.simulating.telling import gate_in_words

CHANNELS, FIELDS, CAPS = ("web", "email"), ("past.plan",), ("two-a-week",)
DOCUMENT: dict[str, Any] = {
    "channels": [
        {"channel": "web", "rows": 60, "changed": 30, "nothing_before": 0, "nothing_now": 6, "offers_before": 30,
         "offers_now": 24},
        {"channel": "email", "rows": 40, "changed": 0, "nothing_before": 20, "nothing_now": 20, "offers_before": 10,
         "offers_now": 10},
    ],
    "people": {"underserved": {"share": 0.25}, "lost": {"share": 0.05}},
    "groups": {
        "past.plan": [
            {"group": "s", "rows": 50, "offers_before": 20, "offers_now": 10},
            {"group": "l", "rows": 40, "offers_before": 20, "offers_now": 20},
            {"group": "few", "rows": 10, "offers_before": 10, "offers_now": 0},
        ]
    },
    "caps": [{"cap": "two-a-week", "day": day, "before": 9, "now": 7, "held_back": 3} for day in ("a", "b")],
    "value": {
        "strategy": {"value": 1.0, "low": 0.5, "high": 1.5}, "over_before": {"value": 0.0, "low": -1.0, "high": 1.0},
    },
}  # fmt: skip
UNTOLD = {**DOCUMENT, "value": {"strategy": None, "over_before": {"value": 0.1, "low": None, "high": None}}}


def failed(text: str, document: dict[str, Any] = DOCUMENT) -> tuple[float | None, bool]:
    """Return the figure that a condition looks at, and whether the release fails."""
    (one,) = check([condition(text, CHANNELS, FIELDS, CAPS)], document)
    return (None if one.figure is None else round(one.figure, 9)), one.failed


@pytest.mark.parametrize(
    ("text", "figure", "fails"),
    [
        ("changed > 20%", 0.3, True),
        ("changed>0.3", 0.3, False),
        ("changed >= 30 %", 0.3, True),
        ("changed on web > 50%", 0.5, False),
        ("changed on email > 0", 0.0, False),
        ("suppressed > 25%", 0.26, True),
        ("suppressed-rise > 10%", 0.06, False),
        ("offers on web < 50%", 0.4, True),
        ("offers-loss > 5%", 0.06, True),
        ("underserved <= 25%", 0.25, True),
        ("lost > 5%", 0.05, False),
        ("gap by past.plan > 25%", 0.3, True),
        ("gap-rise by past.plan > 25%", 0.2, False),
        ("uses of two-a-week > 13", 14.0, True),
        ("held-back of two-a-week > 6", 6.0, False),
        ("value < 0.6", 0.5, True),
        ("value > 1.4", 1.5, True),
        ("value-gain < -2", -1.0, False),
    ],
)
def test_a_condition_looks_at_its_figure(text: str, figure: float, fails: bool) -> None:
    """A release fails exactly where the condition holds of the figure that it names; a value is taken at its worst end,
    and groups of few decisions make no gap.
    """
    assert failed(text) == (figure, fails)


@pytest.mark.parametrize("text", ["value < -100", "value > 100", "value-gain < -100"])
def test_a_value_that_is_not_told_fails(text: str) -> None:
    """Where the log does not tell what the strategy is worth, or not how surely, no condition on it lets it pass."""
    assert failed(text, UNTOLD) == (None, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no condition; write one as in changed > 20%"),
        ("changed", "is no condition"),
        ("changed > many", "is no condition"),
        ("changed = 20%", "is no condition"),
        ("changed > 20% or lost > 1%", "is no condition"),
        ("bettered > 20%", "there is no figure 'bettered'; there are changed, suppressed"),
        ("changed > 20", "write a percentage, or a number from 0 to 1"),
        ("changed on fax > 20%", "there is no 'fax' to look at; there is email, web"),
        ("changed by past.plan > 20%", "write `changed on …`"),
        ("lost on web > 20%", "write `lost` alone"),
        ("gap > 20%", "write `gap by …` with a field of --groups"),
        ("gap by past.age > 20%", "there is past.plan"),
        ("uses > 20", "with a cap of the strategy"),
        ("uses of two-a-week > 20%", "uses is no share; write a number without %"),
        ("value < 1%", "value is no share"),
        ("changed > 1", "this can never fail a release, for changed is from 0 to 1; write another bound"),
        ("changed > 100%", "can never fail"),
        ("lost < 0", "can never fail"),
        ("suppressed-rise < -100%", "suppressed-rise is from -1 to 1"),
        ("uses of two-a-week < 0", "uses is at least 0"),
    ],
)
def test_what_says_nothing_is_refused_in_words(text: str, said: str) -> None:
    """A condition that cannot be read, or is about nothing that is there, is refused with what would be right."""
    with pytest.raises(GateRefused) as refused:
        condition(text, CHANNELS, FIELDS, CAPS)
    assert said in str(refused.value)
    assert repr(text) in str(refused.value)


def test_every_name_can_be_written() -> None:
    """Each figure that the refusals offer is one that can be asked for."""
    about = {
        "gap": " by past.plan",
        "gap-rise": " by past.plan",
        "uses": " of two-a-week",
        "held-back": " of two-a-week",
    }
    for name in NAMES:
        assert failed(f"{name}{about.get(name, '')} >= 1")[0] is not None


@pytest.mark.parametrize(
    "text",
    [
        "changed on fax > 20%", "offers on fax < 20%", "gap by past.age > 99%", "gap-rise by past.age > 99%",
        "gap by past.none > 99%",
    ],
)  # fmt: skip
def test_a_figure_that_was_not_measured_fails(text: str) -> None:
    """Without a row on the channel, or two groups of enough rows to compare, nothing is known, and nobody is let by."""
    groups = {"past.age": DOCUMENT["groups"]["past.plan"][1:], "past.none": []}
    (one,) = check([condition(text, (*CHANNELS, "fax"), tuple(groups), ())], {**DOCUMENT, "groups": groups})
    assert (one.figure, one.failed) == (None, True)
    (words, *_) = gate_in_words({"gate": [to_builtins(one)], "report": ""})
    assert words == f"FAILED: {text}: the log does not tell it"


def test_channels_are_those_of_the_log_too() -> None:
    """Which channels there are may be known later than the condition; one that nobody has is refused then."""
    one = condition("changed on fax > 20%", None, FIELDS, CAPS)
    see_channels([one], ("fax", "web"))
    with pytest.raises(GateRefused, match="there is no 'fax' to look at; there is email, web"):
        see_channels([condition("changed > 20%", None, FIELDS, CAPS), one], CHANNELS)
