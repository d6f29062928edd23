"""A small telecom strategy for tests: `write_strategy(folder)` writes it, and any section can be changed.

write_strategy(folder)                                            # the good one, a file a section
write_strategy(folder, caps=None)                                 # without a section
write_strategy(folder, caps="caps: []")                           # with another text for a section
write_strategy(folder, caps=edited("caps", "at_most: 2", "at_most: 5"))
"""

from __future__ import annotations

from pathlib import Path

SECTIONS = {
    "strategy": """\
strategy:
  name: small
  says: A small telecom company, for tests.
  currency: EUR
  safe_greeting: greet
  explore: 0.05
""",
    "consent": """\
consent:
  - {id: none, says: Nothing was agreed., purposes: []}
  - {id: service, says: Only what service needs., purposes: [service]}
  - {id: personal, says: Personal offers., purposes: [service, personalization]}
  - {id: full, says: Everything., purposes: [service, personalization, profiling]}
""",
    "channels": """\
channels:
  - {id: web, placements: [greeting, hero]}
  - {id: desk, placements: [greeting, offer]}
  - {id: email, placements: [body], permission: true}
""",
    "events": """\
events:
  - id: ticket.opened
    says: The customer opened a support ticket.
    attributes:
      ticket: string
      topic: {type: string, values: [billing, network], optional: true}
  - id: ticket.closed
    says: A support ticket was closed.
    attributes: {ticket: string}
  - id: purchase
    says: The customer bought something.
    attributes:
      amount: {type: double, low: 0, high: 100000}
      product: string
      category: {type: string, values: [phone, internet, tv], optional: true}
      pieces: {type: int, optional: true}
      paid_at: {type: timestamp, optional: true}
  - id: loyalty.changed
    says: The customer reached another tier.
    attributes:
      tier: {type: string, values: [basic, silver, gold, platinum]}
      personal: {type: bool, optional: true}
  - id: survey.answered
    says: The customer answered a survey.
    attributes:
      score: {type: int, low: 0, high: 10}
""",
    "fields": """\
fields:
  - id: past.open_tickets
    says: Support tickets that are open.
    type: int
    purpose: service
    max_age: 400d
    fold: {kind: open, event: ticket.opened, attribute: ticket, closed_by: ticket.closed, closed_key: ticket}
  - id: past.tier
    says: The loyalty tier.
    type: string
    values: [basic, silver, gold, platinum]
    purpose: personalization
    fold: {kind: last, event: loyalty.changed, attribute: tier}
  - id: past.first_amount
    says: What the first purchase cost.
    type: double
    purpose: profiling
    fold: {kind: first, event: purchase, attribute: amount}
  - id: past.phones
    says: How many phones were bought.
    type: int
    purpose: personalization
    fold: {kind: count, event: purchase, where: {category: phone}}
  - id: past.spend
    says: What was ever spent.
    type: double
    purpose: personalization
    fold: {kind: sum, event: purchase, attribute: amount}
  - id: past.worst_score
    says: The lowest survey score.
    type: int
    purpose: service
    fold: {kind: min, event: survey.answered, attribute: score}
  - id: past.best_score
    says: The highest survey score.
    type: int
    purpose: service
    max_age: 90d
    fold: {kind: max, event: survey.answered, attribute: score}
  - id: past.products
    says: How many different products were bought.
    type: int
    purpose: profiling
    fold: {kind: distinct, event: purchase, attribute: product, keep: 32}
  - id: past.recent_products
    says: The products that were bought last.
    type: strings
    purpose: profiling
    fold: {kind: recent, event: purchase, attribute: product, keep: 5}
  - id: past.purchases_7d
    says: Purchases of the last seven days.
    type: int
    purpose: personalization
    fold: {kind: window_count, event: purchase, window: 7d}
  - id: past.spend_7d
    says: What was spent in the last seven days.
    type: double
    purpose: personalization
    fold: {kind: window_sum, event: purchase, attribute: amount, window: 7d}
  - id: past.interest
    says: What was spent, halved every month.
    type: double
    purpose: profiling
    fold: {kind: decay, event: purchase, attribute: amount, half_life: 30d}
  - id: past.days_since_purchase
    says: Days since the last purchase.
    type: double
    purpose: personalization
    fold: {kind: since, event: purchase}
  - id: past.paid_at
    says: When the last purchase was paid.
    type: timestamp
    purpose: personalization
    fold: {kind: last, event: purchase, attribute: paid_at}
  - {id: present.sentiment, says: The mood., type: double, purpose: service, source: request, low: -1, high: 1}
  - {id: present.cart_value, says: What the cart is worth., type: double, purpose: service, source: request, low: 0}
  - {id: present.reason, says: Why they call., type: string, values: [bill, move], purpose: service, source: request}
  - {id: present.waiting, says: Whether they had to wait., type: bool, purpose: service, source: request}
""",
    "actions": """\
actions:
  - id: greet
    kind: greeting
    says: A friendly hello.
    intents: [welcome]
    propensity: 1.0
    treatments:
      - {channel: web, placements: [greeting], text: Good to see you.}
      - {channel: desk, placements: [greeting], text: "Thank you for calling, how can I help?"}
      - {channel: email, placements: [body], text: Good to hear from you.}
  - id: greet-gold
    kind: greeting
    says: A hello for the best customers.
    intents: [welcome, loyalty]
    value: 1.0
    propensity: 0.5
    treatments:
      - {channel: web, placements: [greeting], text: Good to see you again.}
      - {channel: desk, placements: [greeting], text: Thank you for your loyalty.}
  - id: fibre-upgrade
    kind: offer
    says: Faster internet at home.
    intents: [upsell]
    group: internet
    tags: [fibre]
    value: 60.0
    reward: 10.0
    cost: 0.10
    lever: 1.2
    propensity: 0.03
    treatments:
      - {channel: web, placements: [greeting, hero], text: "Three times faster for 10 € more."}
      - {channel: desk, placements: [offer], text: Shall I make your internet three times faster?}
      - {channel: email, placements: [body], text: Three times faster.}
  - id: new-phone
    kind: offer
    says: A new phone.
    intents: [cross_sell]
    group: phones
    value: 120.0
    cost: 0.05
    propensity: 0.01
    treatments:
      - {channel: web, placements: [hero], text: The new phone is here.}
      - {channel: desk, placements: [offer], text: Would you like to see the new phone?}
      - {channel: email, placements: [body], text: The new phone is here.}
  - id: ticket-status
    kind: message
    says: What happens with the ticket.
    intents: [service]
    group: care
    value: 2.0
    propensity: 0.4
    treatments:
      - {channel: web, placements: [greeting, hero], text: We are working on your ticket.}
      - {channel: desk, placements: [offer], text: I see that you have an open ticket.}
      - {channel: email, placements: [body], text: We are working on your ticket.}
  - id: apology
    kind: message
    says: We are sorry.
    intents: [recovery]
    group: care
    value: 3.0
    cost: 0.01
    propensity: 0.3
    treatments:
      - {channel: web, placements: [hero], text: "We are sorry, and we make it right."}
      - {channel: desk, placements: [offer], text: I am sorry for the trouble.}
""",
    "guardrails": """\
guardrails:
  - id: no-upsell-while-a-ticket-is-open
    says: A customer with an open support ticket is helped, not sold to.
    forbid: {intents: [upsell, cross_sell]}
    when: past.open_tickets > 0
    instead: {intents: [service, recovery]}
""",
    "eligibility": """\
eligibility:
  - id: gold-greeting-for-gold
    says: The gold greeting is for gold customers.
    permit: {ids: [greet-gold]}
    when: past.tier in ['gold', 'platinum']
  - id: status-needs-a-ticket
    says: A ticket's status can be told when there is a ticket.
    permit: {ids: [ticket-status]}
    when: past.open_tickets > 0
""",
    "caps": """\
caps:
  - id: two-offers-a-week
    says: At most two offers a week.
    count: {kinds: [offer]}
    at_most: 2
    within: 7d
  - id: one-apology-a-day
    says: One apology a day on each channel.
    count: {ids: [apology]}
    at_most: 1
    within: 24h
    per: [channel]
""",
    "weights": """\
weights:
  - id: hot-cart
    says: A full cart makes phones more likely to be worth it.
    boost: {groups: [phones]}
    factor: 1.5
    when: present.cart_value > 50.0
""",
    "model": """\
model:
  features: [past.tier, past.phones, past.spend_7d, past.days_since_purchase, present.sentiment, present.waiting]
""",
}


def edited(section: str, old: str, new: str) -> str:
    """Return a section's text with the one occurrence of `old` replaced."""
    text = SECTIONS[section]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {section}"
    return text.replace(old, new)


def write_strategy(folder: Path, **changes: str | None) -> Path:
    """Write the strategy, a file a section, into the folder and return the folder.

    A change replaces the text of a section (or adds a file of that name); None leaves the section out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for section, text in {**SECTIONS, **changes}.items():
        if text is not None:
            (folder / f"{section}.yaml").write_text(text, encoding="utf-8")
    return folder
