"""What Prometheus reads is read here with Prometheus's own parsers."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.telemetry.families import Family, Kind, Labels, Point, Spreading
from service.telemetry.openmetrics import text_of, wants_openmetrics
from service.telemetry.sampling import Trace
from service.telemetry.spreads import BOUNDS_S, BUCKETS, Exemplar, Spread
from tests.service.telemetry.world import read_families

LABELS = st.lists(
    st.tuples(st.sampled_from(["rule", "channel", "stage"]), st.text(max_size=12)), unique_by=lambda pair: pair[0]
).map(lambda pairs: tuple(sorted(pairs)))
SPREADS = st.lists(st.integers(0, 3), min_size=BUCKETS, max_size=BUCKETS).map(
    lambda counts: Spread(tuple(counts), round(sum(counts) * 0.01, 6))
)


def samples(text: str, *, openmetrics: bool) -> dict[tuple[str, Labels], float]:
    """Return every number by its name and labels, as Prometheus reads it."""
    families = read_families(text, openmetrics=openmetrics)
    found = [each for family in families for each in family.samples]
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for each in found}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(LABELS, st.integers(0, 10**15), max_size=4), st.sampled_from([True, False]))
def test_numbers_are_read_as_they_were(numbers: dict[Labels, int], openmetrics: bool) -> None:
    """Whatever a label holds, quotes and line ends too, Prometheus reads the label and the number."""
    points = tuple(Point(labels, value) for labels, value in numbers.items())
    family = Family("tact.caps.bound", Kind.COUNTER, "{candidate}", 'Says "this"\nand \\that.', points)
    found = samples(text_of([family], openmetrics=openmetrics), openmetrics=openmetrics)
    assert found == {("tact_caps_bound_total", labels): value for labels, value in numbers.items()}


@settings(max_examples=40, deadline=None)
@given(SPREADS, LABELS, st.sampled_from([1, 2]), st.sampled_from([True, False]))
def test_buckets_are_read_as_they_were(spread: Spread, labels: Labels, each: int, openmetrics: bool) -> None:
    """A bucket holds what is not longer than its bound; told in pairs, the bounds that are left hold the same."""
    family = Family("tact.lag", Kind.HISTOGRAM, "s", "Lag.", spreads=(Spreading(labels, spread, each),))
    found = samples(text_of([family], openmetrics=openmetrics), openmetrics=openmetrics)
    assert found["tact_lag_seconds_count", labels] == sum(spread.counts)
    assert found["tact_lag_seconds_sum", labels] == pytest.approx(spread.total_s)
    buckets = {
        float(dict(key)["le"]): value for (name, key), value in found.items() if name == "tact_lag_seconds_bucket"
    }
    below = tuple(accumulate(spread.counts))
    wanted = dict(zip(BOUNDS_S[::each], below[::each], strict=False))
    assert sorted(buckets) == pytest.approx([*wanted, float("inf")])
    assert [buckets[bound] for bound in sorted(buckets)] == [*wanted.values(), below[-1]]


def test_an_example_names_its_trace() -> None:
    """An exemplar stands behind the bucket that it belongs to; the older text has no room for it."""
    spread = Spread(tuple(int(at == 20) for at in range(BUCKETS)), 0.001)
    example = Exemplar(0.001, Trace(0xABC, 0xDEF), 1_800_000_000_123_000_000)
    family = Family("tact.lag", Kind.HISTOGRAM, "s", "Lag.", spreads=(Spreading((), spread, 1, {20: example}),))
    read = read_families(text_of([family], openmetrics=True))
    found = [each for family in read for each in family.samples if each.exemplar]
    assert [float(each.labels["le"]) for each in found] == [pytest.approx(BOUNDS_S[20])]
    exemplar = found[0].exemplar
    assert exemplar is not None
    assert exemplar.labels == {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}
    assert (exemplar.value, float(exemplar.timestamp or 0)) == (0.001, 1_800_000_000.123)
    assert "trace_id" not in text_of([family], openmetrics=False)


PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accepted", "openmetrics"),
    [
        (PROMETHEUS_2 + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        (PROMETHEUS_3, True),
        ("application/vnd.google.protobuf;proto=x;encoding=delimited;q=0.6," + PROMETHEUS_3, True),
        ("application/openmetrics-text", True),
        ('Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', True),
        ("text/plain, application/openmetrics-text", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.0,text/plain", False),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", False),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/openmetrics-text;q=often", False),
        ("application/openmetrics-text-too", False),
        ("*/*", False), ("", False), (",;=,;q", False),
    ],
)  # fmt: skip
def test_who_likes_plain_text_better_gets_it(accepted: str, openmetrics: bool) -> None:
    """The form of the answer is the one that is liked best, of those that we can write; unasked it is plain text."""
    assert wants_openmetrics(accepted) is openmetrics


def test_a_sentence_is_read_as_it_was_written() -> None:
    """What a family says comes out of either form with its quotes, backslashes and line ends."""
    says = 'Says "this"\nand \\that.'
    family = Family("tact.caps.bound", Kind.COUNTER, "", says, (Point((), 1),))
    for openmetrics in (True, False):
        (read,) = read_families(text_of([family], openmetrics=openmetrics), openmetrics=openmetrics)
        assert read.documentation == says


def test_an_info_and_a_gauge_are_read() -> None:
    """Versions are labels of a 1, a state is a number; what has nothing yet is named all the same."""
    families = [
        Family("tact.version", Kind.INFO, "", "Versions.", (Point((("strategy", "demo@1"),), 1),)),
        Family("process.resident.memory", Kind.GAUGE, "By", "Memory.", (Point((), 4096),)),
        Family("tact.refused", Kind.COUNTER, "", "None yet."),
    ]
    read = {family.name: family for family in read_families(text_of(families, openmetrics=True))}
    assert {name: family.type for name, family in read.items()} == {
        "tact_version": "info",
        "process_resident_memory_bytes": "gauge",
        "tact_refused": "counter",
    }
    assert {family.unit for family in read.values()} == {"", "bytes"}
    assert samples(text_of(families, openmetrics=False), openmetrics=False) == {
        ("tact_version_info", (("strategy", "demo@1"),)): 1,
        ("process_resident_memory_bytes", ()): 4096,
    }
