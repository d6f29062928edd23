"""The small telecom strategy with everything that policy can say: `write_policy(folder)` writes it.

write_policy(folder)                                              # the good one, a file a section
write_policy(folder, quiet_hours=None)                            # without a section
write_policy(folder, caps=changed("caps", "at_most: 2", "at_most: 0"))
"""

from __future__ import annotations

from pathlib import Path

from tests.strategies import SECTIONS, write_strategy

POLICY = {
    **SECTIONS,
    "events": SECTIONS["events"]
    + """\
  - id: household.joined
    says: The customer moved in with somebody.
    attributes: {household: string, city: string}
  - id: contact.failed
    says: A contact that went badly.
    attributes: {cost: double}
  - id: contract.changed
    says: The contract is another one.
    attributes: {plan: {type: string, values: [s, m, l]}}
""",
    "fields": SECTIONS["fields"]
    + """\
  - id: past.household
    says: The household they live in.
    type: string
    purpose: service
    fold: {kind: last, event: household.joined, attribute: household}
  - id: past.city
    says: The town they live in.
    type: string
    purpose: personalization
    fold: {kind: last, event: household.joined, attribute: city}
  - id: past.street
    says: The street they lived in this year.
    type: string
    purpose: service
    max_age: 365d
    fold: {kind: last, event: household.joined, attribute: city}
  - id: past.failed_7d
    says: Contacts of seven days that went badly.
    type: int
    purpose: service
    fold: {kind: window_count, event: contact.failed, window: 7d}
  - id: past.failed_cost_30d
    says: What contacts that went badly cost them in thirty days.
    type: double
    purpose: service
    fold: {kind: window_sum, event: contact.failed, attribute: cost, window: 30d}
  - id: past.failed_lately
    says: Contacts of a day that went badly, while they are heard of.
    type: int
    purpose: service
    max_age: 2d
    fold: {kind: window_count, event: contact.failed, window: 24h}
  - id: past.plan
    says: The contract they have.
    type: string
    values: [s, m, l]
    purpose: service
    fold: {kind: last, event: contract.changed, attribute: plan}
  - {id: predicted.churn, says: Will leave., type: double, low: 0, high: 1, purpose: profiling, source: model}
""",
    "time_zone": "time_zone: {default: Europe/Berlin}\n",
    "household": "household: {field: past.household}\n",
    "attributes": """\
attributes:
  - {id: price, type: double, says: What it costs a month.}
  - {id: tiers, type: strings, says: For whom it is made.}
  - {id: months, type: int, says: How long it binds.}
  - {id: bundled, type: bool, says: Whether it comes with something else.}
  - {id: maker, type: string, says: Who made it.}
  - {id: sold_until, type: timestamp, says: When it is sold for the last time.}
""",
    "actions": SECTIONS["actions"].replace(
        "  - id: new-phone\n",
        """\
  - id: new-phone
    attributes: {price: 29.5, tiers: [gold], months: 24, bundled: false, maker: Nord, sold_until: 2027-06-30}
""",
    )
    + """\
  - id: legal-notice
    kind: message
    says: What the law says must be told.
    value: 1.0
    propensity: 0.5
    treatments:
      - {channel: web, placements: [hero], text: Our terms have changed.}
      - {channel: email, placements: [body], text: Our terms have changed.}
""",
    "guardrails": SECTIONS["guardrails"]
    + """\
  - id: nothing-dearer-than-they-spend
    says: Nothing is offered that costs more than they ever spent.
    owner: Compliance
    from: 2026-01-01
    until: 2099-01-01T00:00:00+01:00
    forbid: {ids: [new-phone]}
    when: action.price > past.spend
    instead: {ids: [apology]}
""",
    "recovery": """\
recovery:
  - id: win-back
    says: After three bad contacts in a week we apologize, and sell nothing.
    count: past.failed_7d
    reaches: 3
    forbid: {kinds: [offer]}
    instead: {ids: [greet-gold]}
""",
    "quiet_hours": """\
quiet_hours:
  - id: quiet-nights
    says: Nobody gets an e-mail at night.
    forbid: {channels: [email]}
    between: "21:00-08:00"
  - id: quiet-sundays
    says: Nobody is sold to on a Sunday.
    forbid: {kinds: [offer]}
    between: "00:00-24:00"
    weekdays: [sunday]
""",
    "applicability": """\
applicability:
  - id: phones-when-asked
    says: A phone fits when they ask about nothing else.
    permit: {ids: [new-phone]}
    when: present.reason != 'bill'
    instead: {ids: [ticket-status]}
""",
    "suitability": """\
suitability:
  - id: fibre-that-they-can-pay
    says: Fibre is right for those who can pay it.
    permit: {groups: [internet]}
    when: past.spend > 50.0
""",
    "caps": SECTIONS["caps"]
    + """\
  - id: one-offer-a-day
    says: One offer of a group a day.
    count: {kinds: [offer]}
    at_most: 1
    within: day
    per: [group]
    counts: shown
    hold: 10m
    instead: {kinds: [greeting]}
    owner: Marketing
  - id: three-a-household
    says: A household hears of three offers a week.
    count: {kinds: [offer]}
    at_most: 3
    within: 7d
    by: household
""",
    "cool_offs": """\
cool_offs:
  - id: after-a-no
    says: Who says no hears nothing of the kind for a month, then for three.
    about: {kinds: [offer]}
    after: [refused, not_now]
    for: [30d, 90d]
    per: [group]
    forget: 365d
  - id: never-means-never
    says: Who says never never hears of it again.
    about: {kinds: [offer]}
    after: [never]
    permanent: true
""",
    "consistency": """\
consistency:
  - id: the-same-price-everywhere
    says: What was offered is offered everywhere.
    keep: {kinds: [offer]}
    for: 7d
    until_changes: [past.plan, predicted.churn]
""",
    "exemptions": """\
exemptions:
  - id: the-law-first
    says: What the law demands is told to everyone, at any hour.
    actions: {ids: [legal-notice]}
    exempt_from: [quiet-nights, contact-permission]
    until: 2090-01-01
  - id: tickets-are-service
    says: What happens with a ticket is told at any hour.
    actions: {ids: [ticket-status]}
    exempt_from: [quiet-nights]
    owner: Service
""",
}


def changed(section: str, old: str, new: str) -> str:
    """Return a section's text with the one occurrence of `old` replaced."""
    text = POLICY[section]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {section}"
    return text.replace(old, new)


def write_policy(folder: Path, **changes: str | None) -> Path:
    """Write the strategy, a file a section, into the folder and return the folder."""
    return write_strategy(folder, **{**POLICY, **changes})
