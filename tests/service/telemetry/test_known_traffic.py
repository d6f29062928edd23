"""Known traffic, and every number that Prometheus reads of it."""

from collections import Counter

from prometheus_client import Metric

from service.rpc.client import Answer, Ask, CallFailed, TactClient
from service.telemetry.settings import TelemetrySettings
from tests.service.telemetry.collector import collecting, values
from tests.service.telemetry.world import client_of, measured, scraped

KNOWN_TRAFFIC = (
    *(Ask(f"w{number}", "web", ("greeting", "hero"), {"present.page": "home"}) for number in range(5)),
    *(Ask("known", "email", ("body", "greeting")) for _ in range(3)),
    *(Ask("unknown", "email", ("body",), explain=True) for _ in range(2)),
    *(Ask("again", "desk", ("offer",), idempotency_key="one-key") for _ in range(2)),
    *(Ask("c", f"nowhere-{number}", ("hero",)) for number in range(3)),
    Ask("c", "web", ("hero",), {"present.page": f"{'x' * 40_000}"}),
)


async def test_known_traffic_is_told_number_by_number(store: str) -> None:
    """What callers were answered, one by one and over a stream, is what Prometheus reads: no number more, none less.

    And each decision, as each request that got none, is one span that says the same.
    """
    with collecting() as collector:
        telemetry = TelemetrySettings(otlp=collector.url, trace_share=1.0, port=0)
        async with measured(store, telemetry) as running, client_of(running) as client:
            await client.set_consent("known", "full", ("email",))
            answers = [*await streamed(client), *await one_by_one(client)]
            texts = [await scraped(running.metrics_port, openmetrics=form) for form in (True, False)]
    fates = collector.latest()["tact.telemetry.spans"].sum.data_points
    told_of_spans = {values(point.attributes)["fate"]: point.as_int for point in fates}
    assert told_of_spans == {"sent": 2 * len(KNOWN_TRAFFIC), "lost": 0, "dropped": 0, "unheeded": 0}
    spans = Counter(values(span.attributes).get("tact.outcome", "none") for span in collector.spans)
    made = [(asked, told["answers"]) for asked, told in zip(KNOWN_TRAFFIC * 2, answers, strict=True) if told["answers"]]
    silent = [[one for one in told if "suppression" in one] for _, told in made]
    reasons = [one["reasons"][0] for each in silent for one in each]
    suppressions = Counter(reason["rule_id"] or reason["code"] for reason in reasons)
    suppressed = sum(len(each) == len(told) for each, (_, told) in zip(silent, made, strict=True))
    assert (len(made), suppressed > 0, len(suppressions) > 1) == (24, True, True)
    assert any(0 < len(each) < len(told) for each, (_, told) in zip(silent, made, strict=True))
    assert spans == {"said": 24 - suppressed, "suppressed": suppressed, "none": 8}
    outcomes = {"said": 24 - suppressed, "suppressed": suppressed, "degraded": 0}
    channels = Counter(asked.channel for asked, _ in made)
    for families in texts:
        assert told_by(families, "tact_decide_duration_seconds_count", "channel") == channels
        assert told_by(families, "tact_decisions_total", "outcome") == outcomes
        assert told_by(families, "tact_suppressions_total", "rule") == suppressions
        assert told_by(families, "tact_degraded_total", "reason") == {"no_model": 24, "store_unavailable": 0}
        assert told_by(families, "tact_refused_total", "code") == {"invalid_argument": 8}
        assert told_by(families, "tact_caps_bound_total", "cap") == {}


async def streamed(client: TactClient) -> list[Answer]:
    """Return the answers to the traffic over one stream."""
    return [answer async for answer in client.decide_stream(KNOWN_TRAFFIC)]


async def one_by_one(client: TactClient) -> list[Answer]:
    """Return the answers to the traffic call by call; empty ones where there is none."""
    answers: list[Answer] = []
    for each in KNOWN_TRAFFIC:
        try:
            answers.append(await client.decide(each))
        except CallFailed:
            answers.append({"answers": []})
    return answers


def told_by(families: dict[str, Metric], sample: str, label: str) -> dict[str, float]:
    """Return the numbers of one name by the value of its one label."""
    found = [each for family in families.values() for each in family.samples if each.name == sample]
    assert all(each.labels.keys() == {label} for each in found)
    return {each.labels[label]: each.value for each in found}
