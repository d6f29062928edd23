"""The settings of telemetry, from the command line and the environment."""

import re
from collections.abc import Mapping

import pytest

from service.config import SettingRefused, read_settings
from service.telemetry import Counts
from service.telemetry.running import Telemetry
from service.telemetry.settings import TelemetrySettings


def read(flags: Mapping[str, str | bool] | None = None, **environment: str) -> TelemetrySettings:
    """Return what flags and environment say of telemetry."""
    return read_settings(flags or {}, environment).telemetry


def test_nothing_leaves_a_process_that_nobody_told_to() -> None:
    """Without settings decisions are measured, nothing is traced or sent, and no port is open."""
    assert read() == TelemetrySettings(on=True, otlp="", trace_share=0.01, by_callers=10.0, port=None, headers=())


def test_every_setting_is_read() -> None:
    """What is set is what counts; a slash at the end of a URL does not."""
    flags = {"otlp": "https://collector.example:4318/otlp/", "trace-share": "0.5", "trace-callers": "0"}
    told = read({**flags, "metrics-port": "9464"}, TACT_OTLP_HEADERS="api-key=a%20b, x-team=sales")
    assert told == TelemetrySettings(
        True, "https://collector.example:4318/otlp", 0.5, 0.0, 9464, (("api-key", "a b"), ("x-team", "sales"))
    )
    assert read({"telemetry": False}).on is False
    assert read(TACT_TELEMETRY="no").on is False
    assert read(TACT_METRICS_PORT="0").port == 0


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("otlp", "collector:4318", "URL of a collector"),
        ("otlp", "grpc://collector:4317", "URL of a collector"),
        ("otlp", "http://", "URL of a collector"),
        ("otlp", "http://collector:99999", "URL of a collector"),
        ("otlp", "http://[collector", "URL of a collector"),
        ("otlp", "http://collector:0", "URL of a collector"),
        ("otlp", "http://collector/with space", "URL of a collector"),
        ("otlp", "http://collector/tab\t", "URL of a collector"),
        ("otlp", "http://collector/p\u00e4th", "URL of a collector"),
        ("otlp", "http://k\u00f6ln.example", "URL of a collector"),
        ("otlp", "http://two..dots", "URL of a collector"),
        ("otlp", f"http://{'x' * 64}.example", "URL of a collector"),
        ("otlp", "http://collector:4318?key=hush", "URL of a collector"),
        ("otlp", "http://collector:4318/v1/traces", "path that is added"),
        ("otlp", "http://me:hush@collector:4318", "TACT_OTLP_HEADERS"),
        ("otlp-headers", "hush", "name=value"),
        ("otlp-headers", "api key=hush", "name=value"),
        ("otlp-headers", "api-key=hush%0d%0ax-more: 1", "name=value"),
        ("otlp-headers", "api-key=hush%E2%82%AC", "name=value"),
        ("otlp-headers", "api-key=hush,Content-Length=5", "leave out content-length"),
        ("otlp-headers", "host=hush", "leave out host"),
        ("trace-share", "1.1", "share from 0"),
        ("trace-share", "-0.1", "share from 0"),
        ("trace-share", "nan", "share from 0"),
        ("trace-share", "some", "share from 0"),
        ("trace-callers", "1001", "0 to 1000"),
        ("trace-callers", "inf", "0 to 1000"),
        ("metrics-port", "65536", "whole number"),
        ("metrics-port", "-1", "whole number"),
        ("metrics-port", "many", "whole number"),
        ("telemetry", "perhaps", "yes"),
    ],
)
def test_what_is_not_usable_is_refused_in_words(name: str, value: str, wanted: str) -> None:
    """An error names the setting and what would be right, and never tells what may be a secret."""
    variable = f"TACT_{name.upper().replace('-', '_')}"
    with pytest.raises(SettingRefused, match=re.escape(variable)) as refused:
        read(None, **{variable: value})
    assert wanted in str(refused.value)
    assert "hush" not in str(refused.value)


def test_secrets_are_in_no_repr() -> None:
    """Who logs the settings tells no secret."""
    told = read(TACT_OTLP="http://collector:4318", TACT_OTLP_HEADERS="api-key=hush")
    assert told.headers == (("api-key", "hush"),)
    assert "hush" not in repr(told)


@pytest.mark.parametrize("name", ["otlp", "metrics-port"])
def test_what_cannot_both_be_meant_is_refused(name: str) -> None:
    """Without telemetry there is nothing to send or to read."""
    with pytest.raises(SettingRefused, match=f"--{name}.*--no-telemetry"):
        read({"telemetry": False, name: "http://collector:4318" if name == "otlp" else "9464"})


@pytest.mark.parametrize(
    ("otlp", "share", "by_callers", "traces"),
    [
        ("http://collector:4318", 0.01, 10.0, True),
        ("http://collector:4318", 0.0, 10.0, True),
        ("http://collector:4318", 0.01, 0.0, True),
        ("http://collector:4318", 0.0, 0.0, False),
        ("", 1.0, 10.0, False),
    ],
)
def test_where_nothing_is_traced_nobody_asks_for_traces(
    otlp: str, share: float, by_callers: float, traces: bool
) -> None:
    """What callers say of their traces is only read where it can matter, for reading it costs every decision."""
    settings = TelemetrySettings(otlp=otlp, trace_share=share, by_callers=by_callers)
    assert settings.traces is traces
    assert Telemetry(settings, Counts()).watch.traces is traces


def test_each_worker_has_a_port_of_its_own() -> None:
    """The first worker has the port that was named, the next one the next; any free port is only for one alone."""
    told = read(TACT_METRICS_PORT="9464")
    assert [told.port_of(worker) for worker in (1, 2, 3)] == [9464, 9465, 9466]
    assert read(TACT_METRICS_PORT="0").port_of(1) == 0
    assert read().port_of(2) is None


def test_the_last_worker_needs_a_port_too() -> None:
    """Ports that would run out are refused at the door, and not when the last worker starts."""
    assert read(TACT_METRICS_PORT="65534", TACT_WORKERS="2").port == 65534
    for any_port in ("0", "00"):
        with pytest.raises(SettingRefused, match="nobody would know the ports of 2 workers; name the first one"):
            read(TACT_METRICS_PORT=any_port, TACT_WORKERS="2")
    with pytest.raises(SettingRefused, match="each of 3 workers"):
        read(TACT_METRICS_PORT="65534", TACT_WORKERS="3")
