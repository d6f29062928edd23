"""Settings are read once, and an error names the setting, the value and what would be right."""

from contextvars import Context
from datetime import timedelta
from pathlib import Path

import pytest

from service.config import Scheduling, SettingRefused, Settings, read_settings
from service.rpc.admission.classes import CallClass, Classes, read_classes
from service.store.retention import Retention


def test_silence_gives_the_defaults() -> None:
    """Without flags and environment the service listens on loopback, with an embedded store and no model."""
    settings = read_settings({}, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 50051, None)
    assert settings.store.folder == Path("data/store")


def test_the_command_line_counts_more_than_the_environment() -> None:
    """A flag wins over its variable, and a variable over the default."""
    environment = {"TACT_PORT": "1", "TACT_SCHEDULING": "normal", "TACT_ALLOW_AS_OF": "yes"}
    settings = read_settings({"port": "2", "reflection": True, "allow-as-of": None}, environment)
    assert settings.port == 2
    assert settings.scheduling is Scheduling.NORMAL
    assert settings.allow_as_of
    assert settings.reflection
    assert not read_settings({"allow-as-of": False}, environment).allow_as_of


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        ({"port": "70000"}, {}, "--port: '70000'; write a whole number"),
        ({}, {"TACT_PORT": "x"}, "TACT_PORT: 'x'; write a whole number"),
        ({"port": "²"}, {}, "--port"),
        ({"port": "9" * 5000}, {}, "--port"),
        ({}, {"TACT_REFLECTION": "perhaps"}, "TACT_REFLECTION: 'perhaps'; write one of"),
        ({"grace": "-1"}, {}, "--grace: '-1'; write seconds"),
        ({"grace": "nan"}, {}, "--grace: 'nan'; write seconds"),
        ({"store-wait": "soon"}, {}, "--store-wait: 'soon'; write seconds"),
        ({"log-level": "loud"}, {}, "debug, info, warning, error"),
        ({"host": "not a host"}, {}, "--host: 'not a host'"),
        ({"store": "embedded:"}, {}, "it names no folder"),
        ({"store": "file:///x"}, {}, "it is no store"),
        ({"store": "redis://h", "store-url-file": "f"}, {}, "keep one of them"),
        ({"store-url-file": "/nowhere/url"}, {}, "--store-url-file: /nowhere/url (No such file"),
        ({"erasure-key-file": "/nowhere/key"}, {}, "--erasure-key-file: /nowhere/key (No such file"),
        ({}, {"TACT_KEEP": "log=3"}, "TACT_KEEP: 'log=3'; write KIND=TIME"),
        ({}, {"TACT_CHANNEL_CLASSES": "kiosk=first"}, "TACT_CHANNEL_CLASSES: 'kiosk=first' is no CHANNEL=CLASS"),
        ({"keep": "log=1d"}, {}, "shorter than decisions can be repeated"),
    ],
)
def test_an_error_names_setting_value_and_what_is_right(
    flags: dict[str, str], environment: dict[str, str], said: str
) -> None:
    """Each bad value is refused with where it came from."""
    with pytest.raises(SettingRefused) as refused:
        read_settings(flags, environment)
    assert said in str(refused.value)


def test_a_password_is_in_no_text_of_the_settings(tmp_path: Path) -> None:
    """The store's URL is shown nowhere; in the argument list it is refused, and so is a file that others can read."""
    secret = "redis://user:opensesame@db/0"
    for seen in (secret, "unix:///run/store?password=opensesame", "redis://h?password=opensesame"):
        with pytest.raises(SettingRefused, match="--store-url-file") as refused:
            read_settings({"store": seen}, {})
        assert "opensesame" not in str(refused.value)
    file = tmp_path / "url"
    file.write_text(f"{secret}\n")
    for mode in (0o644, 0o640, 0o602):
        file.chmod(mode)
        with pytest.raises(SettingRefused, match="chmod 600"):
            read_settings({"store-url-file": str(file)}, {})
    file.chmod(0o600)
    for quiet in (read_settings({}, {"TACT_STORE": secret}), read_settings({"store-url-file": str(file)}, {})):
        assert quiet.store.url == secret
        assert "opensesame" not in repr(quiet)
    with pytest.raises(SettingRefused) as refused:
        read_settings({"store": "redos://user:opensesame@db/0"}, {})
    assert "opensesame" not in str(refused.value)


def test_the_erasure_key_is_read_and_shown_nowhere(tmp_path: Path) -> None:
    """The key comes from its file, is in no text of the settings, and one that others can read is refused."""
    file = tmp_path / "key"
    file.write_text("opensesame, opensesame, opensesame!\n")
    file.chmod(0o644)
    with pytest.raises(SettingRefused, match="chmod 600"):
        read_settings({"erasure-key-file": str(file)}, {})
    file.chmod(0o600)
    told = read_settings({}, {"TACT_ERASURE_KEY_FILE": str(file)})
    assert told.erasure_key == b"opensesame, opensesame, opensesame!"
    assert "opensesame" not in repr(told)


def test_retention_is_set_by_kind() -> None:
    """What is not named keeps its default."""
    assert read_settings({"keep": "log=30d"}, {}).keep == Retention(log=timedelta(days=30))


def test_a_channel_is_of_the_class_that_is_said() -> None:
    """What is said of channels comes before what their names say, and the others stay as they are."""
    classes = Classes(read_classes(read_settings({"channel-classes": "kiosk=email, web=desktop"}, {}).channel_classes))
    found = [Context().run(classes.of, channel) for channel in ("kiosk", "web", "desk", "anything")]
    assert found == [CallClass.EMAIL, CallClass.DESKTOP, CallClass.DESKTOP, CallClass.WEB]
