"""The verbs of the detectors' tests: judge a Trace, and check what is said about it."""

from __future__ import annotations

from pathlib import Path

from queryscope.detectors.registry import Case, judge, judge_traffic
from queryscope.detectors.traffic import Traffic
from queryscope.trace.events import Frame
from queryscope.trace.repeats import Repeats
from tests.builders import a_trace

REPETITION = (
    "QS101",
    "QS102",
    "QS103",
    "QS104",
    "QS105",
    "QS106",
    "QS107",
    "QS108",
    "QS201",
    "QS202",
    "QS203",
    "QS204",
    "QS207",
    "QS208",
    "QS507",
    "QS511",
)


def said(trace, *codes, **chosen):
    """Return the findings of a Trace with one of the codes; all about repetition by default."""
    failures = []
    findings = judge(trace, chosen=chosen, on_failure=lambda *failure: failures.append(failure))
    assert failures == []
    return [finding for finding in findings if finding.code in (codes or REPETITION)]


def check_clean(trace, **chosen):
    """Check that nothing is said about repetition, not even as an info."""
    messages = [f"{finding.code}: {finding.message}" for finding in said(trace, **chosen)]
    assert not messages, messages


def check_found(trace, code, count=None, **chosen):
    """Check that ``code`` alone is said, once, about so many statements; return its finding."""
    findings = said(trace, **chosen)
    assert [finding.code for finding in findings] == [code], [f.message for f in findings]
    assert count is None or findings[0].count == count, findings[0].message
    return findings[0]


def found_by(detector, trace, **chosen):
    """Return what one detector says about a Trace, whatever others say of the same facts."""
    return list(detector.detect(Case(trace, Repeats.of(trace), chosen)))


class Source:
    """A source file whose positions are found by the text that stands there."""

    def __init__(self, folder: Path, text: str, name: str = "views.py") -> None:
        """Write the file."""
        self.path = Path(folder) / name
        self.path.write_text(text, encoding="utf-8")
        self.text = text

    def frame(self, snippet: str, function: str = "view", *, after: str = "") -> Frame:
        """Return the position of ``snippet``, its first place behind the text ``after``."""
        start = self.text.index(snippet, self.text.index(after))
        end = start + len(snippet)
        line, column = self._line_and_column(start)
        end_line, end_column = self._line_and_column(end)
        return Frame(str(self.path), line, end_line, column, end_column, function, "library.views")

    def _line_and_column(self, index: int) -> tuple[int, int]:
        before = self.text[:index]
        return before.count("\n") + 1, len(before.rpartition("\n")[2].encode())

    def text_at(self, frame: Frame) -> str:
        """Return what stands at a position."""
        lines = self.text.encode().split(b"\n")[frame.line - 1 : frame.end_line]
        lines[-1] = lines[-1][: frame.end_column]
        lines[0] = lines[0][frame.column :]
        return b"\n".join(lines).decode()


def found_over(traces, code, **chosen):
    """Return the findings of a code over several Traces."""
    failures = []
    traffic = Traffic.of(traces, chosen)
    findings = judge_traffic(traffic, on_failure=lambda *failure: failures.append(failure))
    assert failures == []
    return [finding for finding in findings if finding.code == code]


def requests(times, make, *, kind="request", method="GET", route="books/<int:pk>/"):
    """Return Traces of one endpoint, a minute apart; ``make`` gives the queries of the n-th."""
    return [
        a_trace(
            *make(n),
            id=f"t{n}",
            kind=kind,
            name=f"{method} /{route}",
            started_at_ns=1_700_000_000_000_000_000 + n * 60_000_000_000,
            attributes={"method": method, "route": route, "path": f"/books/{n}/"},
        )
        for n in range(times)
    ]
