"""Every detector is a page with all its headings, and a file dropped in is a detector."""

from __future__ import annotations

import re

import pytest

from queryscope import detectors
from queryscope.detectors.precedence import PRECEDENCE
from queryscope.detectors.registry import all_detectors, page_of, thresholds
from queryscope.errors import NotFoundError

HEADINGS = [
    "What it does",
    "Why it is bad",
    "Example",
    "Use instead",
    "Not flagged",
    "Settings",
    "Source",
]
CODES = sorted(all_detectors())


@pytest.mark.parametrize("code", CODES)
def test_page_has_all_headings_in_order(code):
    """A reader finds the same seven sections on every page."""
    assert re.findall(r"^## (.+)$", page_of(code), re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("code", CODES)
def test_every_section_says_something(code):
    """No heading stands over nothing."""
    sections = re.split(r"^## .+$", page_of(code), flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections)


@pytest.mark.parametrize("code", CODES)
def test_page_starts_with_code_and_one_sentence(code):
    """The first line is what listings show."""
    first, blank = page_of(code).splitlines()[:2]
    assert re.fullmatch(rf"{code}: .+\.", first)
    assert not blank


@pytest.mark.parametrize("code", CODES)
def test_page_names_every_threshold(code):
    """What can be set stands on the page, under its own name."""
    settings = page_of(code).partition("## Settings")[2].partition("## Source")[0]
    assert all(name in settings for name in all_detectors()[code].THRESHOLDS)


@pytest.mark.parametrize("code", CODES)
def test_page_has_source_that_can_be_opened(code):
    """A verdict can be looked up: a documentation address, or a derivation written out."""
    source = page_of(code).partition("## Source")[2]
    assert "https://" in source or len(source.split()) >= 20


@pytest.mark.parametrize("code", CODES)
def test_module_is_called_like_its_code_and_name(code):
    """``qs101_n_plus_one`` is QS101, n-plus-one."""
    detector = all_detectors()[code]
    wanted = f"{code.lower()}_{detector.NAME.replace('-', '_')}"
    assert detector.__name__.rpartition(".")[2] == wanted


def test_precedence_names_existing_codes_once():
    """A code that is gone, or stands twice, would silence the wrong ones."""
    assert len(set(PRECEDENCE)) == len(PRECEDENCE)
    assert set(PRECEDENCE) <= set(CODES)


def test_thresholds_have_unit_or_plain_meaning():
    """A number without a meaning cannot be set."""
    assert all(len(threshold.meaning.split()) >= 3 for threshold in thresholds().values())


def test_page_of_unknown_code_names_the_nearest():
    """A typing error gets the code that was meant."""
    with pytest.raises(NotFoundError, match="QS101"):
        page_of("QS1O1")


# -- a file dropped in ----------------------------------------------------------------------------

NEW = '''\
"""QS199: a statement was sent."""

CODE = "QS199"
NAME = "dropped-in"
THRESHOLDS = {}


def detect(case):
    """Yield nothing."""
    return iter(())
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A second folder in which detectors are looked for."""
    monkeypatch.setattr(detectors, "__path__", [*detectors.__path__, str(tmp_path)])
    all_detectors.cache_clear()
    thresholds.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    all_detectors.cache_clear()
    thresholds.cache_clear()


def test_file_dropped_in_is_found(folder):
    """No other file is edited."""
    (folder / "qs199_dropped_in.py").write_text(NEW, encoding="utf-8")
    assert sorted(all_detectors()) == sorted([*CODES, "QS199"])
    assert page_of("qs199") == "QS199: a statement was sent.\n"


def test_other_files_are_no_detectors(folder):
    """Helpers and half-named files are left alone."""
    for name in ("_words.py", "qs19_short.py", "notes.py"):
        (folder / name).write_text("raise RuntimeError", encoding="utf-8")
    assert sorted(all_detectors()) == CODES


def test_second_file_with_one_code_is_refused(folder):
    """Codes never change meaning, so none can have two."""
    text = NEW.replace("QS199", "QS101")
    (folder / "qs198_second.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="QS101"):
        all_detectors()


def test_threshold_declared_twice_differently_is_refused(folder):
    """One name, one default."""
    text = NEW.replace(
        "THRESHOLDS = {}",
        "from queryscope.detectors.registry import Threshold\n"
        'THRESHOLDS = {"critical_min_count": Threshold(3, "other")}',
    ).replace("QS199", "QS197")
    (folder / "qs197_other.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="critical_min_count"):
        thresholds()
