"""Prepare the public Starbucks rewards data for strategies/starbucks: events, consents and the logged decisions.

    python -m training.worlds.starbucks --data DIR --out DIR [--waves 0,168] [--split 408]

DIR is the folder with transcript.json.gz, profile.json.gz and portfolio.json; TACT_DATA/starbucks when left out. The
data have no licence, so they are read where they lie and nothing of them is part of this project.

- Hours become moments: hour 0 is 2018-08-01, after the last member joined. A decision of a wave comes before
  everything else of its hour: what happened in the same hour was not yet known.
- An event's id is made from its content, so that exact repeats get the same id and count once: the same completed
  offer twice for one payment, and equally two payments of one person in one hour over the same amount.
- The outcome of an offer is that the customer spends at least its difficulty from the decision's hour on, within the
  offer's duration; of news (difficulty 0), that the customer pays at all. Where nothing was said the same is noted for
  all ten: the baseline. Windows that run past the last hour of the data are cut short.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from .files import Row, moment_ms, rfc3339, write_rows
from .starbucks_files import Data, Line, Member, Offer, Payments, happened, payments_of, read

HOUR_ZERO_MS = moment_ms("2018-08-01T00:00:00Z")
HOUR_MS = 3_600_000
WAVES = (0, 168, 336, 408, 504, 576)
NOTHING, EACH = 0.25, 0.075
"""The probabilities with which a wave said nothing, or each of the ten offers."""
AGE_MISSING = 118

_TYPES = {
    "transaction": "transaction",
    "offer received": "offer.received",
    "offer viewed": "offer.viewed",
    "offer completed": "offer.completed",
}


def events(data: Data) -> Iterator[Row]:
    """Yield every event in order of time: first who joined, then the month as it is told, repeats included."""
    for member in sorted(data.members, key=lambda member: (member.became_member_on, member.id)):
        yield _joined(member)
    for line in data.lines:
        yield _event(line, data.offers)


def _joined(member: Member) -> Row:
    told: dict[str, object] = {"gender": member.gender, "income": member.income}
    if member.age != AGE_MISSING:
        told["age"] = member.age
    return {
        "event_id": _name("joined", member.id),
        "customer_id": member.id,
        "type": "customer.joined",
        "occurred_at": joined_at(member),
        "attributes": {name: value for name, value in told.items() if value is not None},
    }


def joined_at(member: Member) -> str:
    """Return the day on which a member joined, as a moment."""
    day = member.became_member_on
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00Z"


def _event(line: Line, offers: Mapping[str, Offer]) -> Row:
    attributes: dict[str, object]
    if line.event == "transaction":
        attributes = {"amount": line.value["amount"]}
    else:
        offer = offers[line.offer]
        attributes = {"offer": offer.action, "type": offer.offer_type}
        if line.event == "offer completed":
            attributes["reward"] = line.value["reward"]
    return {
        "event_id": _name(line.event, line.person, line.time, *attributes.values()),
        "customer_id": line.person,
        "type": _TYPES[line.event],
        "occurred_at": rfc3339(HOUR_ZERO_MS + line.time * HOUR_MS),
        "attributes": attributes,
    }


def _name(*content: object) -> str:
    """Return an id that equal content shares."""
    return blake2b("|".join(map(str, content)).encode(), digest_size=12).hexdigest()


def consents(data: Data) -> Iterator[Row]:
    """Yield a full consent for every member: the data set says nothing of consent, so this is assumed."""
    for member in data.members:
        yield {
            "customer_id": member.id,
            "level": "full",
            "contact": ["app"],
            "given_at": joined_at(member),
            "source": "assumed",
        }


def decisions(data: Data, waves: Sequence[int]) -> Iterator[Row]:
    """Yield what each wave told each member, or that it told nothing, with its probability and what came of it."""
    payments = payments_of(data.lines)
    received = {(line.person, line.time): line.offer for line in data.lines if line.event == "offer received"}
    for wave in waves:
        at = rfc3339(HOUR_ZERO_MS + wave * HOUR_MS)
        for member in data.members:
            head = {"decision_id": f"wave-{wave:03}-{member.id}", "customer_id": member.id, "at": at, "channel": "app"}
            offer = data.offers.get(received.get((member.id, wave), ""))
            yield {**head, **_outcomes(offer, data.offers, payments.get(member.id, _NO_PAYMENTS), wave)}


_NO_PAYMENTS = Payments(totals=[0.0])


def _outcomes(offer: Offer | None, offers: Mapping[str, Offer], payments: Payments, wave: int) -> Row:
    if offer is None:
        anyway = {other.action: happened(other, payments, wave) for other in offers.values()}
        return {"action": "nothing", "probability": NOTHING, "outcomes": anyway}
    spent = payments.spent(wave, int(offer.duration * 24))[1]
    outcomes = {offer.action: happened(offer, payments, wave)}
    return {"action": offer.action, "probability": EACH, "outcomes": outcomes, "amount": round(spent, 2)}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was read and written."""

    customers: int
    transcript_events: int
    blank_lines: int
    exact_repeats: int
    repeated_payments: int
    events_written: int
    decisions: int
    decisions_cut_short: int


def prepare(data: Data, out: Path, waves: Sequence[int], split: int | None) -> Prepared:
    """Write events, consents and decisions; with `split` the events before and from that hour on go apart."""
    out.mkdir(parents=True, exist_ok=True)
    rows = list(events(data))
    if split is None:
        written = write_rows(out / "events.jsonl.gz", rows)
    else:
        border = rfc3339(HOUR_ZERO_MS + split * HOUR_MS)
        written = write_rows(out / "events-before.jsonl.gz", (r for r in rows if str(r["occurred_at"]) < border))
        written += write_rows(out / "events-after.jsonl.gz", (r for r in rows if str(r["occurred_at"]) >= border))
    write_rows(out / "consents.jsonl", consents(data))
    payment_ids = [row["event_id"] for row in rows if row["type"] == "transaction"]
    last, longest = max(line.time for line in data.lines), max(offer.duration for offer in data.offers.values()) * 24
    return Prepared(
        customers=len(data.members),
        transcript_events=len(data.lines),
        blank_lines=data.blank,
        exact_repeats=len(rows) - len({row["event_id"] for row in rows}),
        repeated_payments=len(payment_ids) - len(set(payment_ids)),
        events_written=written,
        decisions=write_rows(out / "decisions.jsonl.gz", decisions(data, waves)),
        decisions_cut_short=len(data.members) * sum(wave + longest > last + 1 for wave in waves),
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser("python -m training.worlds.starbucks", description=(__doc__ or "").split("\n")[0])
    home = os.environ.get("TACT_DATA")
    parser.add_argument(
        "--data", type=Path, required=not home, default=Path(home, "starbucks") if home else None,
        help="the folder with transcript.json.gz, profile.json.gz and portfolio.json (TACT_DATA/starbucks)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--waves", type=_waves, default=WAVES, help="the hours of the waves to log (all)")
    parser.add_argument("--split", type=int, help="write the events before and from this hour on into two files")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    chosen = parser.parse_args(arguments)
    try:
        data = read(chosen.data)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        parser.error(f"--data {chosen.data}: {error}")
    prepared = prepare(data, chosen.out, chosen.waves, chosen.split)
    text = msgspec.json.encode(prepared).decode() if chosen.json else _report(prepared, chosen.out)
    sys.stdout.write(text + "\n")


def _waves(text: str) -> tuple[int, ...]:
    found = tuple(int(hour) for hour in text.split(","))
    if unknown := set(found) - set(WAVES):
        raise argparse.ArgumentTypeError(f"there is no wave at hour {min(unknown)}; there are {WAVES}")
    return found


def _report(prepared: Prepared, out: Path) -> str:
    return "\n".join(
        (
            f"{prepared.customers:,} members, {prepared.transcript_events:,} events; {prepared.blank_lines} blank lines"
            " skipped",
            f"{prepared.exact_repeats} exact repeats, which share an id and count once"
            f" ({prepared.repeated_payments} of them payments)",
            f"{prepared.decisions:,} decisions, {prepared.decisions_cut_short:,} of them in waves whose longest offer"
            " runs past the end of the data",
            f"{prepared.events_written:,} events with those of joining, in {out}",
        )
    )


if __name__ == "__main__":
    main()
