# ruff: noqa: E501 - documents, a line each
"""What the simulated service decides by: few actions, and a rule of every kind that the store has a part in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from service.core.engine import Engine
from service.core.loader import load_strategy

CAP, CAP_WITHIN_MS = 2, 60_000
"""How many offers a person may get in how long."""
UNITS, HOLD_MS = 3, 600_000
"""How many of the item that runs short there are, and how long one is held for a decision."""
ITEM, PLACE = "phone", "hq"
SCARCE = "phone"
OFFERS = ("phone", "cable", "insurance")
SAFE = "hello"

SECTIONS = {
    "strategy": """\
strategy: {name: simulated, says: What the simulation decides by., currency: EUR, safe_greeting: hello, explore: 0.2}
""",
    "consent": """\
consent:
  - {id: none, says: Nothing is agreed., purposes: []}
  - {id: service, says: Only what service needs., purposes: [service]}
  - {id: full, says: Everything is agreed., purposes: [service, personalization, profiling]}
""",
    "channels": """\
channels:
  - {id: web, placements: [greeting, hero]}
  - {id: email, placements: [body], permission: true}
""",
    "events": """\
events:
  - {id: bought, says: They bought something., attributes: {amount: {type: double, low: 0, high: 9000000000}}}
  - {id: named, says: Who they are., attributes: {tag: string}}
""",
    "fields": """\
fields:
  - {id: past.bought, says: Purchases., type: int, purpose: service, fold: {kind: count, event: bought}}
  - {id: past.spend, says: All they spent., type: double, purpose: service, fold: {kind: sum, event: bought, attribute: amount}}
  - {id: past.latest, says: The latest they spent., type: double, purpose: profiling, fold: {kind: last, event: bought, attribute: amount}}
  - {id: past.tag, says: Who they are., type: string, purpose: service, fold: {kind: last, event: named, attribute: tag}}
  - {id: present.left, says: What is left., type: int, purpose: service, max_age: 1h, source: supply, item: phone, place: hq}
  - {id: present.wish, says: What they look at., type: string, values: [phone, cable, insurance], purpose: service, source: request}
""",
    "actions": """\
actions:
  - id: hello
    kind: greeting
    says: Hello.
    propensity: 1.0
    treatments:
      - {channel: web, placements: [greeting], text: Hello.}
      - {channel: email, placements: [body], text: Hello.}
  - id: hello-you
    kind: greeting
    says: Hello by name.
    value: 1.0
    propensity: 0.5
    treatments:
      - {channel: web, placements: [greeting], text: "Hello {past.tag}.", otherwise: Hello again.}
  - id: phone
    kind: offer
    says: The phone.
    intents: [cross_sell]
    group: things
    value: 100.0
    propensity: 0.5
    consumes: {supply: present.left, units: 1, hold: 10m}
    treatments:
      - {channel: web, placements: [hero], text: "The phone is here, {past.tag}.", otherwise: The phone is here.}
      - {channel: email, placements: [body], text: The phone is here.}
  - id: cable
    kind: offer
    says: A cable.
    intents: [cross_sell]
    group: things
    value: 60.0
    propensity: 0.5
    treatments:
      - {channel: web, placements: [hero], text: "A cable, {past.tag}.", otherwise: A cable.}
      - {channel: email, placements: [body], text: A cable.}
  - id: insurance
    kind: offer
    says: An insurance.
    intents: [upsell]
    group: cover
    value: 40.0
    propensity: 0.5
    treatments:
      - {channel: web, placements: [hero], text: An insurance.}
      - {channel: email, placements: [body], text: An insurance.}
""",
    "weights": """\
weights:
  - {id: phones, says: Who looks at phones., boost: {ids: [phone]}, factor: 9.0, when: present.wish == 'phone'}
  - {id: cables, says: Who looks at cables., boost: {ids: [cable]}, factor: 9.0, when: present.wish == 'cable'}
  - {id: covers, says: Who looks at insurances., boost: {ids: [insurance]}, factor: 9.0, when: present.wish == 'insurance'}
""",
    "caps": """\
caps:
  - {id: two-offers-a-minute, says: Two offers a minute., count: {kinds: [offer]}, at_most: 2, within: 1m}
""",
    "policy": """\
cool_offs:
  - {id: never-is-never, says: Never is never., about: {kinds: [offer]}, after: [never], permanent: true}
  - {id: a-no-rests, says: A no rests., about: {kinds: [offer]}, after: [refused], for: [30d]}
""",
}
PROMISES = """\
consistency:
  - {id: one-story, says: What was offered is what is offered., keep: {kinds: [offer]}, for: 7d, until_changes: []}
"""


@cache
def engine(promises: bool) -> Engine:
    """Return what decides, with one story for all channels or without."""
    sections = dict(SECTIONS)
    if promises:
        sections["policy"] += PROMISES
    with TemporaryDirectory() as folder:
        for name, text in sections.items():
            (Path(folder) / f"{name}.yaml").write_text(text, encoding="utf-8")
        return Engine(load_strategy(Path(folder)), None)
