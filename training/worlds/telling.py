"""The telling customers of the demo: seven whose histories are written by hand, and one of whom nothing is known."""

from __future__ import annotations

from .people import Happening, Person, Story, tell_contact, tell_contract, tell_joining
from .tastes import Traits

UNKNOWN = "unknown-visitor"
"""A visitor without any event or consent."""

ANNA = Person(
    "anna-ticket", Traits(tech=1.4, thrift=-0.8, warmth=0.2), "full", True, 1_200.0,
    plan="mobile_s", internet=True, phone_months=26, days_to_end=300.0, flights=1,
    first_name="Anna",
)  # fmt: skip
BEN = Person(
    "ben-noconsent", Traits(tech=1.5, thrift=-1.0, family=0.8), "none", False, 900.0,
    plan="mobile_s", internet=True, phone_months=30, predicted=False,
    first_name="Ben",
)  # fmt: skip
CARLA = Person(
    "carla-loyal", Traits(travel=1.8, warmth=1.6, thrift=-0.3), "full", True, 2_300.0,
    plan="mobile_l", lines=2, internet=True, fibre=True, tv=True, insurance=True, phone_months=8, flights=11,
    first_name="Carla",
)  # fmt: skip
DAVE = Person(
    "dave-cart", Traits(tech=0.8, warmth=0.4), "full", True, 500.0,
    plan="mobile_m", internet=False, fibre_possible=False, phone_months=9,
    first_name="Dave",
)  # fmt: skip
EVE = Person(
    "eve-late-delivery", Traits(family=0.9, worry=0.7, warmth=0.1), "personal", True, 1_600.0,
    plan="mobile_m", lines=3, internet=True, phone_months=20, predicted=False,
    first_name="Eve",
)  # fmt: skip
FRANK = Person(
    "frank-leaving", Traits(tech=1.6, warmth=-0.7, thrift=-0.2), "full", True, 800.0,
    plan="mobile_l", internet=True, fibre=True, insurance=True, phone_months=5, days_to_end=20.0, first_name="Frank",
)  # fmt: skip
GINA = Person(
    "gina-refused", Traits(tech=0.9, worry=0.4), "full", True, 640.0,
    plan="mobile_l", internet=True, tv=True, phone_months=5, predicted=False,
    first_name="Gina",
)  # fmt: skip

PEOPLE = (ANNA, BEN, CARLA, DAVE, EVE, FRANK, GINA)


def telling_history(one: Person, moment_ms: int) -> tuple[Happening, ...]:
    """Return what happened to one of the telling customers before a moment, in order."""
    story = Story(moment_ms)
    tell_joining(story, one)
    tell_contract(story, one, 150.0)
    _STORIES[one.id](story)
    if one.predicted:
        story.tell(6.0, "prediction.scored", target="upgrade", score=round(min(0.9, 0.3 + 0.3 * one.traits.tech), 2))
    return story.told()


def _anna(story: Story) -> None:
    """She would love fibre, but her line has been down since the day before yesterday."""
    for ago in (9.0, 8.0, 7.5, 4.0):
        story.tell(ago, "page.viewed", topic="internet", minutes=4.0)
    story.tell(80.0, "loyalty.changed", tier="basic", points=1_150)
    story.tell(40.0, "purchase", order="anna-earbuds", category="accessory", amount=59.0)
    story.tell(30.0, "survey.answered", score=8)
    story.tell(30.0, "survey.closed", verdict="happy")
    story.tell(2.1, "ticket.opened", ticket="anna-ticket-1", topic="network")
    tell_contact(story, 2.0, "network", waited=9.0, sentiment=-0.2, solved=False)


def _ben(story: Story) -> None:
    """He looks like the best customer to sell to, and has not agreed that we look."""
    for ago in (6.0, 5.0, 2.0, 1.0):
        story.tell(ago, "page.viewed", topic="internet", minutes=6.0)
        story.tell(ago, "page.viewed", topic="phone", minutes=5.0)
    story.tell(20.0, "purchase", order="ben-tablet", category="accessory", amount=349.0)
    story.tell(60.0, "survey.answered", score=9)
    story.tell(60.0, "survey.closed", verdict="happy")


def _carla(story: Story) -> None:
    """She flies with our partner, has no trouble, and is one flight away from platinum."""
    story.tell(50.0, "loyalty.changed", tier="gold", points=11_400)
    for flight in range(11):
        story.tell(20.0 + 28.0 * flight, "flight.credited")
    for ago in (12.0, 6.0, 3.0):
        story.tell(ago, "page.viewed", topic="travel", minutes=5.0)
    story.tell(33.0, "purchase", order="carla-roaming", category="roaming", amount=15.0)
    tell_contact(story, 45.0, "other", waited=0.5, sentiment=0.9)
    story.tell(40.0, "survey.answered", score=10)
    story.tell(40.0, "survey.closed", verdict="happy")
    story.tell(15.0, "email.opened")


def _dave(story: Story) -> None:
    """He filled a cart half an hour ago and went for lunch."""
    story.tell(70.0, "loyalty.changed", tier="basic", points=300)
    story.tell(55.0, "purchase", order="dave-case", category="accessory", amount=24.9)
    story.tell(0.05, "page.viewed", topic="accessory", minutes=7.0)
    story.tell(0.03, "cart.updated", cart="dave-cart-1", value=24.95)
    story.tell(0.02, "cart.updated", cart="dave-cart-1", value=89.9)


def _eve(story: Story) -> None:
    """Her router was promised for yesterday."""
    story.tell(6.0, "purchase", order="eve-late-delivery-1", category="internet", amount=129.0)
    story.tell(1.2, "delivery.delayed", order="eve-late-delivery-1", days=4)
    story.tell(90.0, "loyalty.changed", tier="silver", points=2_700)
    for ago in (14.0, 13.0):
        story.tell(ago, "page.viewed", topic="tv", minutes=6.0)


def _frank(story: Story) -> None:
    """His contract ends in three weeks, and he likes the newest things more than us."""
    for ago in (9.0, 4.0, 2.0):
        story.tell(ago, "page.viewed", topic="phone", minutes=6.0)
        story.tell(ago, "page.viewed", topic="internet", minutes=5.0)
    story.tell(50.0, "purchase", order="frank-watch", category="accessory", amount=219.0)
    tell_contact(story, 35.0, "network", waited=3.0, sentiment=0.0)
    story.tell(30.0, "survey.answered", score=6)
    story.tell(30.0, "survey.closed", verdict="fine")
    story.tell(0.1, "page.viewed", topic="help", minutes=5.0)


def _gina(story: Story) -> None:
    """Fibre has reached her street, and she does not want it."""
    for ago in (20.0, 12.0):
        story.tell(ago, "page.viewed", topic="internet", minutes=3.0)
    story.tell(18.0, "purchase", order="gina-case", category="accessory", amount=19.9)
    story.tell(16.0, "survey.answered", score=8)
    story.tell(16.0, "survey.closed", verdict="happy")


_STORIES = {
    ANNA.id: _anna, BEN.id: _ben, CARLA.id: _carla, DAVE.id: _dave, EVE.id: _eve, FRANK.id: _frank, GINA.id: _gina,
}  # fmt: skip
