"""Settings: what is known is checked, what is not known is named with the nearest right one."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from queryscope.errors import QueryscopeError, SettingsError
from queryscope.settings import Settings

THRESHOLDS = {"n_plus_one_min_parents": 2.0, "held_idle_min_ms": 50.0}


def read(**values):
    """Check values as an adapter does."""
    return Settings.from_mapping(values, source="settings.QUERYSCOPE", thresholds=THRESHOLDS)


def refused(**values):
    """Return the text of the refusal of values."""
    with pytest.raises(SettingsError) as caught:
        read(**values)
    return str(caught.value)


def test_nothing_set_gives_the_defaults():
    """An empty mapping is as good as none."""
    assert read() == Settings()
    assert dict(Settings().thresholds) == {}


def test_values_are_taken_over():
    """What the user wrote arrives, lists as tuples."""
    settings = read(
        mode="tests",
        recording="light",
        enabled=False,
        viewer=None,
        max_queries=5,
        store_max_age_days=0.5,
        viewer_path="/q/",
        ignore_paths=["/health/"],
    )
    assert (settings.mode, settings.recording, settings.enabled) == ("tests", "light", False)
    assert (settings.viewer, settings.max_queries, settings.store_max_age_days) == (None, 5, 0.5)
    assert (settings.viewer_path, settings.ignore_paths) == ("/q/", ("/health/",))


def test_thresholds_stand_beside_the_settings():
    """A detector's threshold is set by its own flat name."""
    settings = read(held_idle_min_ms=20, ring_traces=5)
    assert dict(settings.thresholds) == {"held_idle_min_ms": 20}
    assert settings.ring_traces == 5


def test_settings_do_not_change():
    """Settings are frozen, the thresholds in them, too."""
    settings = read(held_idle_min_ms=20)
    with pytest.raises(FrozenInstanceError):
        settings.enabled = False
    with pytest.raises(TypeError):
        settings.thresholds["held_idle_min_ms"] = 1


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("max_query", "max_queries"),
        ("viewer_pth", "viewer_path"),
        ("held_idle_ms", "held_idle_min_ms"),
        ("MODE", None),
        ("thresholds", None),
        ("xyzzy", None),
    ],
)
def test_unknown_name_is_refused_with_the_nearest(wrong, right):
    """The text says where, which name, and what was probably meant."""
    text = refused(**{wrong: 1})
    assert text.startswith(f"settings.QUERYSCOPE: there is no setting {wrong!r}.")
    if right is not None:
        assert text.endswith(f"Did you mean {right!r}?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "prod"),
        ("mode", ["tests"]),
        ("recording", 1),
        ("enabled", None),
        ("enabled", "yes"),
        ("viewer", 1),
        ("max_queries", 0),
        ("max_queries", -1),
        ("max_queries", 2.5),
        ("max_queries", True),
        ("max_queries", "5"),
        ("store_max_age_days", -1),
        ("store_max_age_days", float("nan")),
        ("store_max_age_days", float("inf")),
        ("user_packages", "shop"),
        ("user_packages", [1]),
        ("viewer_path", "queryscope"),
        ("viewer_path", ""),
        ("viewer_path", None),
        ("store_path", 5),
        ("held_idle_min_ms", "fast"),
        ("held_idle_min_ms", True),
        ("held_idle_min_ms", -0.1),
    ],
)
def test_wrong_value_is_refused_with_its_name(name, value):
    """The text names the setting, says what is wanted and what it got."""
    text = refused(**{name: value})
    assert text.startswith(f"settings.QUERYSCOPE: {name} must ")
    assert text.endswith(f"not {value!r}.")


def test_every_setting_is_checked():
    """No setting takes a value of a class that none of them has."""
    for item in fields(Settings):
        if item.name != "thresholds":
            assert item.name in refused(**{item.name: object()})


def test_refusal_is_one_of_our_errors():
    """Command line programs catch the base class and print the text."""
    assert issubclass(SettingsError, QueryscopeError)
