"""The command ``rule``: the page of a code, or all codes."""

from __future__ import annotations

import pytest

from queryscope.cli.main import main
from queryscope.detectors import registry


@pytest.mark.parametrize("code", ["QS101", "qs101"])
def test_page_is_printed(capsys, code):
    """The page of a code is its detector's docstring, whatever the case it is typed in."""
    assert main(["rule", code]) == 0
    output = capsys.readouterr().out
    assert output == registry.page_of("QS101")
    assert output.startswith("QS101")


def test_all_codes_have_a_line(capsys):
    """Without a code there is one line for each detector, with its code and name."""
    assert main(["rule"]) == 0
    lines = capsys.readouterr().out.splitlines()
    detectors = list(registry.all_detectors().values())
    assert len(lines) == len(detectors) > 0
    for line, detector in zip(lines, detectors, strict=True):
        code, name, *sentence = line.split()
        assert (code, name) == (detector.CODE, detector.NAME)
        assert " ".join(sentence) in detector.__doc__
        assert len(sentence) > 3


def test_unknown_code_names_nearest(capsys):
    """A code that does not exist is refused with the nearest one."""
    assert main(["rule", "QS6011"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "There is no detector 'QS6011'. Did you mean 'QS601'?" in captured.err
