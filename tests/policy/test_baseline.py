"""The baseline file: what is written is read again, and what is wrong is an error."""

from __future__ import annotations

import datetime as dt

import pytest

from queryscope.errors import SettingsError
from queryscope.policy import baseline
from queryscope.policy.baseline import Baseline, Entry
from tests.builders import a_finding, a_frame, an_origin

PRINT = "0123456789abcdef"
GOOD = f'version = 1\n[[finding]]\nfingerprint = "{PRINT}"\ncode = "QS101"\n'
DAY = dt.date(2026, 11, 21)


@pytest.fixture
def path(tmp_path):
    """Return where the baseline lies; there is none yet."""
    return tmp_path / baseline.FILE


def test_missing_file_is_an_empty_baseline(path):
    """Projects without known findings need no file."""
    assert baseline.read(path) == Baseline(path)


def test_what_is_written_is_read_again(path):
    """Texts come back as they were, whatever stands in them."""
    hostile = 'quote " back\\slash \x7f \x00 \n tab\t ü 😀 ] # ='
    entry = Entry(PRINT, "QS101", hostile, hostile, hostile, hostile, dt.date(2027, 1, 31))
    Baseline(path, {PRINT: entry}).write()
    assert baseline.read(path).entries == {PRINT: entry}


def test_findings_are_added_and_entries_kept(path):
    """Writing again never takes away an owner that somebody wrote."""
    finding = a_finding(subject="library.Book.publisher")
    other = a_finding("QS201", origin=an_origin(a_frame(function="other")), subject="SELECT ?")
    first = Baseline(path).with_findings([finding], owner="ada", reason="old", expires=DAY)
    second = first.with_findings([finding, other], owner="bob")
    entry = second.entries[finding.fingerprint]
    assert (entry.owner, entry.reason, entry.expires) == ("ada", "old", DAY)
    assert (entry.where, entry.about) == ("library.views:book_list", "library.Book.publisher")
    assert second.entries[other.fingerprint].owner == "bob"
    assert second.without([entry]).entries.keys() == {other.fingerprint}


def test_order_of_the_file_is_that_of_the_code(path):
    """Two people who write the same findings write the same file."""
    some = [a_finding(subject=name) for name in "cab"]
    one = Baseline(path).with_findings(some).text()
    assert one == Baseline(path).with_findings(reversed(some)).text()
    assert one.index('about = "a"') < one.index('about = "b"') < one.index('about = "c"')


@pytest.mark.parametrize(
    ("day", "over"), [(DAY, False), (dt.date(2026, 11, 20), True), (None, False)]
)
def test_entry_holds_through_its_last_day(day, over):
    """It expires on the day after."""
    assert Entry(PRINT, "QS101", expires=day).expired(DAY) is over


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\n[[findings]]\n", "there is no key 'findings'. Did you mean 'finding'?"),
        ("", "version must be 1, not None"),
        ('version = "1"', "version must be 1, not '1'"),
        ("version = true", "version must be 1, not True"),
        ("version = 2", "written by a newer queryscope"),
        ("version = 1\nfinding = 5", "each below [[finding]]"),
        ("version = 1\nfinding = [5]", "each below [[finding]]"),
        (GOOD + 'expire = "x"', "finding 1: there is no key 'expire'. Did you mean 'expires'?"),
        (GOOD + 'expires = "2027-01-31"', "a day without quotes, such as 2027-01-31"),
        (GOOD + "expires = 2027-01-31T10:00:00", "a day without quotes"),
        (GOOD + "owner = 5", "owner must be a text, not 5"),
        (GOOD.replace("QS101", "QS999"), "there is no code 'QS999'"),
        (GOOD.replace('code = "QS101"', ""), "code is missing"),
        (GOOD.replace(PRINT, "xyz"), "16 hexadecimal digits, not 'xyz'"),
        (GOOD + GOOD.partition("\n")[2], f"finding 2: {PRINT} is there twice"),
        ("version = ", "is no TOML"),
    ],
)
def test_wrong_file_is_an_error(path, text, said):
    """The error names the file, the entry and the right key."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        baseline.read(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_file_that_is_no_text_is_an_error(path):
    """Whatever it holds, the reader learns which file it is."""
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        baseline.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        baseline.read(path)


def test_folder_that_is_not_there_is_an_error(tmp_path):
    """Nothing is left behind by a file that could not be written."""
    with pytest.raises(SettingsError, match="cannot be written: No such file or directory"):
        Baseline(tmp_path / "no" / baseline.FILE).write()
    assert list(tmp_path.iterdir()) == []
