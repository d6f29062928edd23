"""The visits of the demo world: who comes next and where, what happens meanwhile, and what the visitor would take.

A service that answers the visits and hears what came of its answers has a log worth looking at. What a visitor takes is
drawn from the true worth of each action, as in the pilot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from .files import Row
from .people import Person
from .pilot import context
from .tastes import Sayable, Traits, true_worth

MOST = 4_000
A_CUSTOMER = 4
"""How many visits there are: so many a customer, and no more than `MOST`."""
_STRANGERS = 0.08
_HAPPENS, _ENDS = 0.25, 0.2
"""How often with a visit something happens to the visitor, and how often the oldest trouble of anybody ends."""
_PLACEMENTS = {"desk": ("greeting", "offer"), "web": ("greeting", "hero"), "email": ("greeting", "body")}
_NOS = {"": 0.62, "not_now": 0.2, "refused": 0.16, "never": 0.02}
"""What becomes of an offer that is not taken: mostly nothing is said of it."""


@dataclass(slots=True)
class _Meanwhile:
    """What goes on between visits: troubles begin with the visitor, and the oldest of all ends."""

    dice: Random
    begun: list[Row] = field(default_factory=list)
    number: int = 0

    def events(self, customer: str, channel: str) -> list[Row]:
        """Return what happens before a visit."""
        found: list[Row] = []
        if self.begun and self.dice.random() < _ENDS:
            found.append(self.begun.pop(0))
        if self.dice.random() < _HAPPENS:
            kinds = (self._looks, self._fills_a_cart) if channel == "web" else (self._trouble, self._waits, self._rates)
            found += self.dice.choice(kinds)(customer)
        return found

    def _name(self, what: str) -> str:
        self.number += 1
        return f"visit-{what}-{self.number}"

    def _trouble(self, customer: str) -> list[Row]:
        ticket = self._name("ticket")
        self.begun.append(_event(customer, "ticket.closed", ticket=ticket))
        topic = self.dice.choice(("network", "billing", "device", "other"))
        opened = _event(customer, "ticket.opened", ticket=ticket, topic=topic)
        return [opened, _event(customer, "experience.rated", bad=1)]

    def _waits(self, customer: str) -> list[Row]:
        order = self._name("order")
        self.begun.append(_event(customer, "delivery.arrived", order=order))
        return [_event(customer, "delivery.delayed", order=order, days=self.dice.randint(1, 6))]

    def _rates(self, customer: str) -> list[Row]:
        score = max(0, min(10, round(self.dice.gauss(7.5, 2.0))))
        verdict = "happy" if score >= 8 else "fine" if score >= 6 else "unhappy"
        return [_event(customer, "survey.answered", score=score), _event(customer, "survey.closed", verdict=verdict)]

    def _looks(self, customer: str) -> list[Row]:
        topic = self.dice.choice(("internet", "phone", "tv", "travel", "safety", "accessory"))
        return [_event(customer, "page.viewed", topic=topic, minutes=round(self.dice.uniform(0.5, 8.0), 1))]

    def _fills_a_cart(self, customer: str) -> list[Row]:
        cart = self._name("cart")
        if self.dice.random() < 0.5:
            self.begun.append(_event(customer, "cart.bought", cart=cart))
        return [_event(customer, "cart.updated", cart=cart, value=round(self.dice.uniform(10.0, 300.0), 2))]


def visits(people: Sequence[Person], sayables: Sequence[Sayable], dice: Random) -> Iterator[Row]:
    """Yield the visits in the order in which they come; `takes` has what each action that is taken is worth."""
    meanwhile = _Meanwhile(dice)
    for number in range(min(MOST, A_CUSTOMER * len(people))):
        one = None if dice.random() < _STRANGERS else dice.choice(people)
        traits = one.traits if one else Traits()
        customer = one.id if one else f"passer-by-{number:04}"
        channel = dice.choices(("web", "desk", "email"), (0.5, 0.35, 0.15 * one.email))[0] if one else "web"
        placements = ("greeting", "cart") if channel == "web" and dice.random() < 0.2 else _PLACEMENTS[channel]
        yield {
            "customer_id": customer,
            "channel": channel,
            "placements": placements,
            "context": context(channel, traits, dice),
            "events": meanwhile.events(customer, channel) if one else [],
            "takes": {s.id: s.value for s in sayables if dice.random() < true_worth(s, traits).p},
            "otherwise": dice.choices(tuple(_NOS), tuple(_NOS.values()))[0],
        }


def _event(customer: str, type: str, **attributes: object) -> Row:
    return {"customer_id": customer, "type": type, "attributes": attributes}
