"""The people of the demo world: who they are, what they have, and what happened to them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from .files import rfc3339
from .tastes import Traits, sigmoid

DAY_MS = 86_400_000
HISTORY_DAYS = 180.0
PLANS = ("prepaid", "mobile_s", "mobile_m", "mobile_l")


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of one customer."""

    at_ms: int
    type: str
    attributes: dict[str, object]


@dataclass(frozen=True, slots=True)
class Person:
    """One customer: the hidden traits, the consent, and what the company can see."""

    id: str
    traits: Traits
    level: str
    email: bool
    tenure_days: float
    adult: bool = True
    extra_care: bool = False
    plan: str = "mobile_m"
    lines: int = 1
    internet: bool = False
    fibre: bool = False
    fibre_possible: bool = True
    tv: bool = False
    insurance: bool = False
    phone_months: int = 14
    days_to_end: float = 200.0
    flights: int = 0
    predicted: bool = True
    bereaved: bool = False
    fraud: bool = False
    new_price: bool = False
    room: float = 40.0
    first_name: str = ""

    @property
    def tier(self) -> str:
        """Return the tier that the flights of the last year are worth."""
        return ("basic", "silver", "gold", "platinum")[sum(self.flights >= least for least in (2, 6, 12))]


@dataclass(slots=True)
class Story:
    """Collects what happened to one person before a moment."""

    moment_ms: int
    happenings: list[Happening] = field(default_factory=list)

    def tell(self, days_ago: float, type: str, **attributes: object) -> None:
        """Add an event, unless it would lie after the moment."""
        if days_ago > 0.0:
            # Whole seconds, so that text and number mean the same moment.
            at_ms = (self.moment_ms - max(1_000, int(days_ago * DAY_MS))) // 1_000 * 1_000
            self.happenings.append(Happening(at_ms, type, attributes))

    def told(self) -> tuple[Happening, ...]:
        """Return the events in the order in which they happened."""
        return tuple(sorted(self.happenings, key=lambda happening: happening.at_ms))


def person(customer_id: str, dice: Random) -> Person:
    """Draw a person: what the company can see hints at the hidden traits, but does not give them away."""
    traits = Traits(*(dice.gauss(0.0, 1.0) for _ in range(6)))
    internet = dice.random() < sigmoid(0.2 + 0.3 * traits.family)
    possible = dice.random() < 0.6
    level = dice.choices(("none", "service", "personal", "full"), (0.05, 0.12, 0.23, 0.60))[0]
    tenure_days = min(4_000.0, 25.0 + dice.expovariate(1 / 900.0))
    rank = 1.5 + 0.6 * traits.tech - 0.4 * traits.thrift + dice.gauss(0.0, 0.5)
    return Person(
        id=customer_id,
        traits=traits,
        level=level,
        email=dice.random() < 0.6,
        tenure_days=tenure_days,
        adult=dice.random() < 0.97,
        extra_care=dice.random() < 0.02,
        plan=PLANS[max(0, min(3, round(rank)))],
        lines=1 + (traits.family > 0.3) + (traits.family > 1.2),
        internet=internet,
        fibre=internet and possible and dice.random() < sigmoid(-0.8 + 0.5 * traits.tech),
        fibre_possible=possible,
        tv=internet and dice.random() < sigmoid(-0.6 + 0.5 * traits.family),
        insurance=dice.random() < sigmoid(-1.0 + 0.6 * traits.worry),
        phone_months=int(dice.uniform(1.0, 40.0) * sigmoid(0.4 - 0.5 * traits.tech)),
        days_to_end=dice.uniform(-60.0, 660.0),
        flights=_flights(traits, tenure_days, dice),
        predicted=level == "full" and dice.random() < 0.85,
        bereaved=dice.random() < 0.01,
        fraud=dice.random() < 0.01,
        new_price=dice.random() < 0.08,
        room=max(0.0, round(40.0 - 12.0 * traits.thrift)),
    )


def _flights(traits: Traits, tenure_days: float, dice: Random) -> int:
    if tenure_days < 120.0:
        return 0
    if dice.random() < 0.08:
        return 11
    return min(40, poisson(math.exp(0.4 + 0.9 * traits.travel), dice))


def poisson(mean: float, dice: Random) -> int:
    """Draw a Poisson number; the mean must be small."""
    count, product, limit = 0, dice.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= dice.random()
    return count


def history(one: Person, moment_ms: int, dice: Random) -> tuple[Happening, ...]:
    """Draw what happened to a person before a moment, in order."""
    story = Story(moment_ms)
    tell_joining(story, one)
    days = min(HISTORY_DAYS, one.tenure_days - 15.0)
    tell_contract(story, one, days)
    _tell_service(story, one, days, dice)
    _tell_contacts(story, one, days, dice)
    _tell_shop(story, one, days, dice)
    _tell_miles(story, one, dice)
    _tell_predictions(story, one, dice)
    _tell_notice(story, one, days, dice)
    _tell_price(story, one, days, dice)
    return story.told()


def tell_joining(story: Story, one: Person) -> None:
    """Tell how everyone starts: a SIM card comes, a set-up ticket is solved, a survey goes out."""
    start = one.tenure_days
    story.tell(start, "customer.joined", adult=one.adult)
    story.tell(start, "care.reviewed", extra_care=one.extra_care, bereaved=one.bereaved)
    story.tell(start, "fraud.reviewed", suspected=one.fraud)
    story.tell(start, "price.told", change="the first price")
    story.tell(start, "experience.rated", bad=0)
    if one.first_name:
        story.tell(start, "profile.updated", first_name=one.first_name)
    story.tell(start, "ticket.opened", ticket=f"{one.id}-start", topic="start")
    story.tell(start - 1.0, "ticket.closed", ticket=f"{one.id}-start")
    story.tell(start - 2.0, "delivery.arrived", order=f"{one.id}-sim")
    tell_contact(story, start - 1.0, "start", waited=2.0, sentiment=0.3)
    story.tell(start - 14.0, "survey.closed", verdict="silent")


def tell_contract(story: Story, one: Person, days: float) -> None:
    """Tell what the billing system reports: the contract once, usage and a paid invoice now and then."""
    ends = rfc3339(story.moment_ms + int(one.days_to_end * DAY_MS))
    story.tell(
        days, "contract.reported", plan=one.plan, lines=one.lines, internet=one.internet, fibre=one.fibre,
        fibre_possible=one.fibre_possible, tv=one.tv, insurance=one.insurance, phone_months=one.phone_months, ends=ends,
        room=one.room,
    )  # fmt: skip
    story.tell(days * 0.95, "invoice.paid", invoice=f"{one.id}-first")
    share = 0.95 - 0.25 * PLANS.index(one.plan) + 0.25 * one.traits.tech
    for ago in (70.0, 35.0, 5.0):
        if ago < days:
            story.tell(ago, "usage.reported", share=round(min(2.0, max(0.02, share + 0.01 * (ago - 35.0) / 35.0)), 3))


def tell_contact(
    story: Story,
    days_ago: float,
    reason: str,
    waited: float,
    sentiment: float,
    solved: bool = True,
    complaints: int = 0,
) -> None:
    """Tell of one call, chat or visit."""
    story.tell(
        days_ago, "contact.ended", reason=reason, waited_minutes=round(waited, 1), sentiment=round(sentiment, 2),
        solved=solved, complaints=complaints,
    )  # fmt: skip


def _tell_service(story: Story, one: Person, days: float, dice: Random) -> None:
    for number in range(poisson(0.7, dice)):
        ticket, ago = f"{one.id}-t{number}", dice.uniform(0.0, days)
        story.tell(ago, "ticket.opened", ticket=ticket, topic=dice.choice(("network", "billing", "device", "other")))
        story.tell(ago, "experience.rated", bad=1)
        story.tell(ago - dice.uniform(0.5, 8.0), "ticket.closed", ticket=ticket)
    for number in range(poisson(0.6, dice)):
        order, ago = f"{one.id}-o{number}", dice.uniform(0.0, days)
        late = dice.uniform(1.0, 8.0)
        story.tell(ago, "delivery.delayed", order=order, days=round(late))
        story.tell(ago, "experience.rated", bad=1)
        story.tell(ago - late, "delivery.arrived", order=order)
    if dice.random() < sigmoid(-2.2 + 0.5 * one.traits.thrift):
        ago = dice.uniform(0.0, days)
        story.tell(ago, "invoice.unpaid", invoice=f"{one.id}-late", amount=round(dice.uniform(15.0, 90.0), 2))
        story.tell(ago - dice.uniform(3.0, 40.0), "invoice.paid", invoice=f"{one.id}-late")


def _tell_contacts(story: Story, one: Person, days: float, dice: Random) -> None:
    warmth, traits = one.traits.warmth, one.traits
    pulls = {
        "network": 0.5 * traits.tech, "billing": 0.9 * traits.thrift, "device": -0.8 * traits.tech, "delivery": -0.5,
        "moving": 0.4 * traits.family - 0.5, "roaming": 1.0 * traits.travel - 0.3, "other": -0.3,
    }  # fmt: skip
    reasons = {reason: math.exp(pull) for reason, pull in pulls.items()}
    for _ in range(poisson(1.2, dice)):
        sentiment = math.tanh(0.25 + 0.5 * warmth + dice.gauss(0.0, 0.45))
        (reason,) = dice.choices(tuple(reasons), tuple(reasons.values()))
        complaints = int(sentiment < -0.2 and dice.random() < 0.35)
        solved = dice.random() < sigmoid(1.0 + sentiment)
        ago = dice.uniform(0.0, days)
        tell_contact(story, ago, reason, dice.expovariate(1 / 5.0), sentiment, solved, complaints)
        story.tell(ago, "experience.rated", bad=int(sentiment < -0.2))
    for _ in range(poisson(0.9, dice)):
        ago = dice.uniform(0.0, days)
        if dice.random() < 0.3:
            story.tell(ago, "survey.closed", verdict="silent")
            continue
        score = max(0, min(10, round(7.5 + 1.6 * warmth + dice.gauss(0.0, 1.2))))
        story.tell(ago, "survey.answered", score=score)
        story.tell(ago, "survey.closed", verdict="happy" if score >= 8 else "fine" if score >= 6 else "unhappy")
    for _ in range(poisson(math.exp(0.3 + 0.3 * warmth), dice)):
        story.tell(dice.uniform(0.0, days), "email.opened")


def _tell_shop(story: Story, one: Person, days: float, dice: Random) -> None:
    traits = one.traits
    pulls = {
        "internet": 0.6 * traits.tech, "phone": 0.5 * traits.tech - 0.4 * traits.thrift, "tv": 0.7 * traits.family,
        "travel": 0.8 * traits.travel, "safety": 0.8 * traits.worry, "accessory": 0.4 * traits.tech, "help": 0.0,
    }  # fmt: skip
    for topic, pull in pulls.items():
        for _ in range(poisson(0.8 * math.exp(pull), dice)):
            story.tell(dice.uniform(0.0, days), "page.viewed", topic=topic, minutes=round(dice.expovariate(0.4), 1))
    likes = {
        "accessory": 0.5, "plan": 0.3 * traits.tech - 0.3, "roaming": 1.0 * traits.travel - 0.3,
        "phone": 0.8 * traits.tech - 0.3, "insurance": 1.0 * traits.worry - 1.0, "tv": 0.8 * traits.family - 1.0,
    }  # fmt: skip
    tastes = {category: math.exp(like) for category, like in likes.items()}
    for number in range(poisson(1.2 * math.exp(0.3 * traits.tech - 0.3 * traits.thrift), dice)):
        (category,) = dice.choices(tuple(tastes), tuple(tastes.values()))
        amount = round(dice.lognormvariate(5.6 if category == "phone" else 3.2, 0.5), 2)
        story.tell(dice.uniform(0.0, days), "purchase", order=f"{one.id}-p{number}", category=category, amount=amount)
    for number in range(poisson(0.8, dice)):
        cart, ago = f"{one.id}-c{number}", dice.uniform(0.0, min(70.0, days))
        story.tell(ago, "cart.updated", cart=cart, value=round(dice.lognormvariate(3.8, 0.6), 2))
        if dice.random() < 0.4:
            story.tell(ago - dice.uniform(0.01, 0.2), "cart.bought", cart=cart)


def _tell_miles(story: Story, one: Person, dice: Random) -> None:
    span = min(300.0, one.tenure_days)
    points = one.flights * 900 + int(dice.expovariate(1 / 400.0))
    story.tell(min(75.0, one.tenure_days), "loyalty.changed", tier=one.tier, points=points)
    for _ in range(one.flights):
        story.tell(dice.uniform(76.0, span), "flight.credited")


def _tell_predictions(story: Story, one: Person, dice: Random) -> None:
    if not one.predicted:
        return
    wanting = sigmoid(-1.0 + 0.8 * one.traits.tech - 0.4 * one.traits.thrift + dice.gauss(0.0, 0.4))
    for ago in (58.0, 29.0):
        story.tell(ago, "prediction.scored", target="upgrade", score=round(wanting, 3))


def _tell_notice(story: Story, one: Person, days: float, dice: Random) -> None:
    """Tell of those who gave notice: seldom those who like us, more often those who look at the price."""
    if dice.random() < sigmoid(-1.3 - 1.2 * one.traits.warmth + 0.5 * one.traits.thrift):
        story.tell(dice.uniform(0.0, days), "notice.given")


def _tell_price(story: Story, one: Person, days: float, dice: Random) -> None:
    """Tell of a new price: it was decided lately, and the customer may have heard of it already."""
    if not one.new_price:
        return
    ago = dice.uniform(0.0, min(40.0, days))
    story.tell(ago, "price.announced", change=f"{one.id}-new-price")
    if dice.random() < 0.5:
        story.tell(ago - dice.uniform(0.1, 20.0), "price.told", change=f"{one.id}-new-price")
