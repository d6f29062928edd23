"""Words name only what a customer agreed to and expects to hear, whatever it is; everything else changes no letter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.clock import clock_fields
from models.context import ContextSchema, Field, Purpose, Scalar, Source, TimeZone, Told, ValueType
from models.documents import DocumentsRefused
from service.core.decision import Reason, ReasonCode, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.strategy import Action, Language, Strategy, Treatment, Worded
from service.core.templates import BadWords, Slot, pieces, unspoken
from service.core.wording import LONGEST_VALUE, Phrase, Phrasebook, cleaned
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.test_engine import EXAMPLES, World, decide, decided
from tests.core.worlds import EMPTY, LEVELS, Case, actions
from tests.strategies import SECTIONS, edited, write_strategy

STRATEGIES = sorted(Path(__file__).parents[2].glob("strategies/*/strategy.yaml"))
DAY_MS = 86_400_000
several = settings(max_examples=EXAMPLES // 3, deadline=None)

ZONED = ContextSchema.of(
    (),
    (*SCHEMA.fields, replace(SCHEMA.fields[4], id="past.zone", purpose=Purpose.SERVICE), *clock_fields()),
    TimeZone("past.zone", "Europe/Berlin"),
)


def phrase_of(text: str, otherwise: str = "Otherwise.", **languages: str) -> str | Phrase:
    """Return the words of one treatment over the fields of random strategies; customers prefer `present.reason`."""
    several = tuple(Worded(tag.replace("_", "-"), said) for tag, said in languages.items())
    strategy = replace(EMPTY, schema=ZONED, language=Language("present.reason", "en"))
    return Phrasebook(strategy).phrase(Treatment("web", "greeting", text, otherwise, several))


def said(phrase: str | Phrase, **known: Scalar) -> str:
    """Say words to whom this is known: fields by their name without the tense."""
    values: list[Scalar | None] = [None] * len(ZONED.fields)
    for name, value in known.items():
        values[next(i for i, field in enumerate(ZONED.fields) if field.id.endswith(f".{name}"))] = value
    return phrase if isinstance(phrase, str) else phrase.said(values)


# ---------------------------------------------------------------------------------------------------------- the slots


@pytest.mark.parametrize(
    ("text", "known", "words"),
    [
        ("Good day {past.tier}.", {"tier": "Ada"}, "Good day Ada."),
        ("Good day {past.tier}.", {"tier": "  Ada \n  Lovelace\t"}, "Good day Ada Lovelace."),
        ("Good day {past.tier}.", {"tier": "{past.spend}"}, "Good day {past.spend}."),
        ("Good day {past.tier}.", {"tier": "<b>Ada</b>"}, "Good day <b>Ada</b>."),
        ("Good day {past.tier}.", {"tier": "\u202eadA\u0000\u200b"}, "Good day adA."),
        ("Good day {past.tier}.", {"tier": "\u00a0\u2028\u200d"}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "\u3164"}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "\u2800 \u2800"}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "\u115f\u1160"}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "\uffa0\u200b"}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "\u034f\ufe0f\u0301"}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "\u115f\u1161"}, "Good day \u115f\u1161."),
        ("Good day {past.tier}.", {"tier": "\u5f20"}, "Good day \u5f20."),
        ("Good day {past.tier}.", {"tier": "a" * 64}, "Good day " + "a" * 64 + "."),
        ("Good day {past.tier}.", {"tier": "a" * 65}, "Otherwise."),
        ("Good day {past.tier}.", {"tier": "a\u200b" * 64}, "Good day " + "a" * 64 + "."),
        ("Good day {past.tier}.", {"tier": "a" * 1_000_000}, "Otherwise."),
        ("Good day {past.tier}.", {}, "Otherwise."),
        ("{past.purchases} times", {"purchases": 3}, "3 times"),
        ("{past.purchases} times", {"purchases": -(2**63)}, "-9223372036854775808 times"),
        ("{past.purchases} times", {"purchases": True}, "Otherwise."),
        ("{past.spend:.2f} €", {"spend": 12.345}, "12.35 €"),
        ("{past.spend:.0f} €", {"spend": -0.4}, "0 €"),
        ("{past.spend:.2f} €", {"spend": 12}, "12.00 €"),
        ("{past.spend:.2f} €", {"spend": 1e308}, "Otherwise."),
        ("{past.spend:.2f} €", {"spend": float("inf")}, "Otherwise."),
        ("{past.spend:.2f} €", {"spend": float("nan")}, "Otherwise."),
        ("since {past.joined}", {"joined": 1_764_543_600_000}, "since 2025-12-01"),
        ("since {past.joined}", {"joined": 1_764_543_600_000, "zone": "America/New_York"}, "since 2025-11-30"),
        ("since {past.joined}", {"joined": 1_764_543_600_000, "zone": "Nowhere/At_All"}, "Otherwise."),
        ("since {past.joined}", {"joined": 10**18}, "Otherwise."),
        ("{{past.tier}} {past.tier} {{{past.tier}}}", {"tier": "Ada"}, "{past.tier} Ada {Ada}"),
        ("{past.tier} and {past.spend:.1f}", {"tier": "Ada"}, "Otherwise."),
        ("{past.tier}{past.tier}", {"tier": "Ada"}, "AdaAda"),
    ],
)
def test_a_slot_says_a_value_that_is_fit_to_be_said_and_else_other_words_stand(
    text: str, known: dict[str, Scalar], words: str
) -> None:
    """A value is said on one line, without what is not seen, in at most 64 characters; any other is not said at all."""
    assert said(phrase_of(text), **known) == words


@given(st.text(max_size=300) | st.text("a\u202e\u0000{}<>&\u0301 \n", max_size=80))
def test_whatever_a_value_is_the_words_around_it_stand(value: str) -> None:
    """Any text leaves the words around the slot as they are, adds at most 64 characters, all of them visible."""
    words = said(phrase_of("Good day {past.tier}, {{you}}.", "Good day."), tier=value)
    inside = re.fullmatch(r"Good day (.+), \{you\}\.", words)
    assert inside or words == "Good day."
    if inside:
        assert inside[1] == cleaned(value)
        assert len(inside[1]) <= LONGEST_VALUE
        assert not {category(letter) for letter in inside[1]} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text("{}ab.:2f ", max_size=30))
def test_a_text_is_taken_apart_as_a_whole_or_refused(text: str) -> None:
    """Whatever braces stand in a text, its pieces say it all again; what is unclear is refused."""
    try:
        found = pieces(text)
    except BadWords:
        return
    again = "".join(_written(piece) for piece in found)
    assert again == text


def _written(piece: str | Slot) -> str:
    if isinstance(piece, str):
        return piece.replace("{", "{{").replace("}", "}}")
    return "{" + piece.field + ("" if piece.decimals is None else f":.{piece.decimals}f") + "}"


def test_words_that_depend_on_nothing_are_plain_texts() -> None:
    """Words without slots in one language are texts, so that saying them costs nothing."""
    assert phrase_of("Half {{off}}.", "") == "Half {off}."
    assert phrase_of("", "", de="Hallo", en="Hallo") == "Hallo"


# ------------------------------------------------------------------------------------------------------- the language


@pytest.mark.parametrize(
    ("preferred", "words"),
    [
        ("de", "Guten Tag"),
        ("de-AT", "Servus"),
        ("DE_at", "Servus"),
        ("de-AT-1996", "Servus"),
        ("de-CH", "Guten Tag"),
        ("fr", "Good day"),
        ("e", "Good day"),
        ("en-GB", "Good day"),
        ("", "Good day"),
        ("-", "Good day"),
        ("de-" + "x" * 1_000, "Good day"),
        ("d" * 100_000, "Good day"),
        (None, "Good day"),
    ],
)
def test_the_language_is_the_preferred_one_or_a_wider_or_the_default(preferred: str | None, words: str) -> None:
    """A customer hears the language that they prefer, or the wider one that contains it, or the default."""
    phrase = phrase_of("Good day", "", de="Guten Tag", en="Good day", de_at="Servus")
    assert said(phrase, **({} if preferred is None else {"reason": preferred})) == words


def test_without_words_in_the_default_language_the_first_are_said() -> None:
    """Where the default language has no words, the first that are written are said."""
    assert said(phrase_of("", "", fr="Bonjour", de="Guten Tag"), reason="it") == "Bonjour"


# ---------------------------------------------------------------------------------------------------- the creepy line


@several
@given(actions(), st.lists(st.sampled_from(list(Told)), min_size=len(SCHEMA.fields), max_size=len(SCHEMA.fields)))
def test_no_words_are_made_that_would_name_what_is_not_expected(said: tuple[Action, ...], told: list[Told]) -> None:
    """Whatever is marked, a strategy whose words name an inferred or sensitive field cannot be made to serve."""
    fields = tuple(replace(field, told=mark) for field, mark in zip(SCHEMA.fields, told, strict=True))
    strategy = replace(EMPTY, actions=said, schema=ContextSchema.of((), fields))
    names = {piece.field for text in texts_of(strategy) for piece in pieces(text) if isinstance(piece, Slot)}
    if all(told[SCHEMA.index[name]] is Told.EXPECTED for name in names):
        assert len(phrases(strategy)) == sum(len(action.treatments) for action in said)
        return
    with pytest.raises(BadWords):
        phrases(strategy)


def texts_of(strategy: Strategy) -> Iterable[str]:
    """Return all that a strategy can say, as it is written."""
    for treatment in (one for action in strategy.actions for one in action.treatments):
        written = treatment.languages or (Worded("", treatment.text, treatment.otherwise),)
        yield from (one.text for one in written)


def canary(field: Field, index: int) -> Scalar:
    """Return a value of a field that no words hold by chance."""
    values: dict[ValueType, Scalar] = {
        ValueType.STRING: f"canary-{index}",
        ValueType.INT: 918_273_640 + index,
        ValueType.DOUBLE: 918_273.0 + index,
        ValueType.TIMESTAMP: 4_000_000_000_000 + index * DAY_MS,
        ValueType.BOOL: True,
        ValueType.STRINGS: (f"canary-{index}",),
    }
    return values[field.type]


@several
@given(decided())
def test_an_action_is_worded_alike_whatever_is_not_consented(world: World) -> None:
    """What a customer did not agree to changes no letter of the words of any action, and never stands in an answer."""
    strategy, model, case, draws = world
    level = next((level for level in LEVELS if level.id == case.known.level), LEVELS[0])
    hidden = [i for i, field in enumerate(SCHEMA.fields) if field.purpose not in level.purposes]
    planted = {**case.request.context, **{i: canary(SCHEMA.fields[i], i) for i in hidden}}
    changed = Case(case.values, case.known, structs.replace(case.request, context=planted))
    decision = decide(Engine(strategy, model), changed, draws)
    for answer in decision.answers:
        assert "canary" not in answer.text
        assert "91827" not in answer.text
    engine = Engine(strategy, model)
    before, after = (engine.see(one.known, one.request).values for one in (case, changed))
    for phrase in phrases(strategy):
        if isinstance(phrase, Phrase):
            assert phrase.said(before) == phrase.said(after)


def phrases(strategy: Strategy) -> list[str | Phrase]:
    """Return the words of every treatment of a strategy."""
    book = Phrasebook(strategy)
    return [book.phrase(treatment) for action in strategy.actions for treatment in action.treatments]


@pytest.mark.parametrize("folder", [found.parent for found in STRATEGIES], ids=lambda folder: folder.name)
def test_no_template_that_is_shipped_says_what_is_inferred_sensitive_or_about_nobody(folder: Path) -> None:
    """Of every template of a shipped strategy: what must not be said changes no letter, and is in no words."""
    strategy = load_strategy(folder)
    fields = strategy.schema.fields
    whole = tuple(canary(field, index) for index, field in enumerate(fields))
    kept = [not unspoken(field) and field.source is not Source.SUPPLY for field in fields]
    less = tuple(value if may else None for value, may in zip(whole, kept, strict=True))
    secret = [str(value) for value, may in zip(whole, kept, strict=True) if not may and not isinstance(value, bool)]
    for phrase in phrases(strategy):
        words = phrase if isinstance(phrase, str) else phrase.said(whole)
        assert isinstance(phrase, str) or words == phrase.said(less)
        assert not [value for value in secret if value in words]


@pytest.mark.parametrize("folder", [found.parent for found in STRATEGIES], ids=lambda folder: folder.name)
@pytest.mark.parametrize("level", list(Purpose), ids=str)
def test_no_template_that_is_shipped_says_what_is_not_consented(folder: Path, level: Purpose) -> None:
    """Of every template: without a purpose the words are those of somebody of whom such fields are not known."""
    strategy = load_strategy(folder)
    fields = strategy.schema.fields
    hidden = [field.purpose is level for field in fields]
    whole = tuple(canary(field, index) for index, field in enumerate(fields))
    allowed = tuple(None if hide else value for value, hide in zip(whole, hidden, strict=True))
    for phrase in phrases(strategy):
        if isinstance(phrase, Phrase):
            words = phrase.said(allowed)
            assert not [value for value, hide in zip(whole, hidden, strict=True) if hide and str(value) in words]


# ------------------------------------------------------------------------------------------- safe and repeated answers


def test_a_safe_answer_names_nobody() -> None:
    """When nothing is known the safe greeting is said in the default language, in the words without slots."""
    hello = replace(
        EMPTY.actions[0],
        treatments=(
            Treatment(
                "web",
                "greeting",
                "Hello {past.tier}",
                "Hello",
                (Worded("de", "Hallo {past.tier}", "Hallo"), Worded("en", "Hello {past.tier}", "Hello")),
            ),
        ),
    )
    strategy = replace(EMPTY, actions=(hello,), language=Language("present.reason", "en"))
    why = Reason(ReasonCode.STORE_UNAVAILABLE, "Gone.")
    request = Request("ada", "web", ("greeting",), {SCHEMA.index["present.reason"]: "de"})
    decision = Engine(strategy, None).safe(request, why, NOW_MS)
    assert decision.answers[0].text == "Hello"


def test_other_facts_of_an_event_may_be_said_beside_a_sensitive_one(tmp_path: Path) -> None:
    """What was spent may be said although what was spent on something in particular is sensitive."""
    fields = SECTIONS["fields"] + (
        "  - {id: past.pharmacy, says: Phones., type: double, purpose: service, told: sensitive,\n"
        "     fold: {kind: sum, event: purchase, attribute: amount, where: {category: phone}}}\n"
    )
    text = '{channel: web, placements: [greeting], text: "You spent {past.spend:.0f}.", otherwise: Hello.}'
    actions = edited("actions", "{channel: web, placements: [greeting], text: Good to see you.}", text)
    strategy = load_strategy(write_strategy(tmp_path, fields=fields, actions=actions))
    assert isinstance(phrases(strategy)[0], Phrase)


@pytest.mark.parametrize(
    ("event", "refused"), [("ticket.opened", True), ("ticket.closed", True), ("purchase", False)], ids=str
)
def test_what_ends_a_sensitive_matter_tells_of_it(tmp_path: Path, event: str, refused: bool) -> None:
    """How many tickets are open is told by what opens them, and by what closes them."""
    sensitive = edited("fields", "    max_age: 400d\n", "    max_age: 400d\n    told: sensitive\n")
    fields = sensitive + (
        "  - {id: past.latest, says: The latest., type: string, purpose: service,\n"
        f"     fold: {{kind: last, event: {event}, attribute: {'category' if event == 'purchase' else 'ticket'}}}}}\n"
    )
    text = '{channel: web, placements: [greeting], text: "About {past.latest}.", otherwise: Hello.}'
    actions = edited("actions", "{channel: web, placements: [greeting], text: Good to see you.}", text)
    folder = write_strategy(tmp_path, fields=fields, actions=actions)
    if not refused:
        assert isinstance(phrases(load_strategy(folder))[0], Phrase)
        return
    with pytest.raises(DocumentsRefused, match="sensitive"):
        load_strategy(folder)
