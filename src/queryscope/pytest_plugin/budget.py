"""A budget on a block: records it, and fails the test that spends more than is allowed."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Self

import pytest

from queryscope.errors import QueryscopeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Judged
    from queryscope.imports import OrmWatch
    from queryscope.pytest_plugin.limits import Limits
    from queryscope.pytest_plugin.session import Session
    from queryscope.trace.events import TraceKind
    from queryscope.trace.recorder import Recorder

MAX_FILE_NAME_CHARS = 100
REPORTS = ".queryscope"
"""Folder of the reports, in pytest's root directory."""

_UNFIT = re.compile(r"[^\w.=+,@-]+")


class Reports:
    """Where a session of pytest writes the reports of failed budgets: one file per test.

    Args:
        root: pytest's root directory.
        shown_from: The directory that pytest was started in: paths are shown relative to it.
        worker: The name of a worker of pytest-xdist: others write at the same time.
    """

    def __init__(self, root: Path, shown_from: Path, worker: str = "") -> None:
        """Write nothing yet."""
        self._ending = f"-{worker}" if worker else ""
        self.root = root
        self.shown_from = shown_from
        self._tests: dict[str, str] = {}

    def write(self, test: str, name: str, judged: Judged) -> str:
        """Write a report and return the line that says where; a failure is said, not raised.

        Args:
            test: The node id of the test.
            name: Its name; the file is called by it.
            judged: What is reported.
        """
        path = self.root / REPORTS / f"{self._file_name(test, name)}{self._ending}.html"
        shown = self._shown(path)
        try:
            from queryscope.report import html
            from queryscope.store.folder import make_folder

            make_folder(path.parent)
            page = html.render(judged.trace, judged.findings)
            path.write_text(page, encoding="utf-8", errors="replace")
        except Exception as error:  # noqa: BLE001 - the budget has failed, and that is the news
            return f"report: not written to {shown}: {type(error).__name__}: {error}"
        return f"report: {shown}"

    def _file_name(self, test: str, name: str) -> str:
        """Return the test's own name, with a number when another test has the same."""
        stem = _UNFIT.sub("-", name).strip("-.")[:MAX_FILE_NAME_CHARS] or "test"
        number = 1
        found = stem
        # Lower case: on some file systems names that differ in case only are one file.
        while self._tests.setdefault(found.lower(), test) != test:
            number += 1
            found = f"{stem}-{number}"
        return found

    def _shown(self, path: Path) -> str:
        try:
            return str(path.relative_to(self.shown_from))
        except ValueError:
            return str(path)


class Block:
    """What ``query_budget(...)`` gives: ``with`` records, its end judges.

    Statements count where they are recorded: in the block's own thread and tasks, in what the
    adapters carry the Recorder to, and in every Trace inside the block, such as the requests of
    a test client behind the middleware. The threads of a live server record on their own.

    When the block raises, its exception passes and no budget is judged.

    Args:
        limits: Maxima by budget; without any the block is only recorded.
        reports: Where the report of a failure goes.
        test: The node id of the test.
        name: The test's name.
        kind: What the Trace is.
        place: For a mark, the test's file and line: there is no ``with`` to point at.
        fixture: What the block is of, for error texts.
        session: What is known and what fails; with None the policy of the working directory.
        told: Called with what the outermost block of a test found.

    Attributes:
        judged: What was recorded and found; None before the block has ended.
    """

    def __init__(
        self,
        limits: Limits,
        reports: Reports,
        *,
        test: str,
        name: str,
        kind: TraceKind = "block",
        place: str = "",
        fixture: str = "query_budget",
        session: Session | None = None,
        told: Callable[[Judged], None] | None = None,
    ) -> None:
        """Prepare; nothing is recorded before the block is entered."""
        self.judged: Judged | None = None
        self._fixture = fixture
        self._session = session
        self._told = told
        self._limits = limits
        self._reports = reports
        self._test = test
        self._name = name
        self._kind: TraceKind = kind
        self._place = place
        self._entered: list[tuple[Recorder, OrmWatch, list[str]]] = []

    def __enter__(self) -> Self:
        """Install the hooks of the ORMs in use and start recording."""
        __tracebackhide__ = True
        try:
            entry = self._begin()
        except QueryscopeError as error:
            raise pytest.UsageError(f"{self._fixture} cannot count: {error}") from None
        self._entered.append(entry)
        return self

    def _begin(self) -> tuple[Recorder, OrmWatch, list[str]]:
        from queryscope import runtime
        from queryscope.imports import OrmWatch

        _configure_django()
        refused: list[str] = []
        # An ORM that the block itself imports would go uncounted, and the budget would pass.
        watch = OrmWatch(report=refused.append)
        watch.begin()
        if refused:
            watch.end()
            raise QueryscopeError(refused[0])
        # Whatever `enabled` says: tests run with the settings of production, and somebody has
        # asked for this one block.
        recorder = runtime.get().recorder(self._kind, self._test)
        recorder.open()
        return recorder, watch, refused

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop recording and judge.

        Raises:
            pytest.fail.Exception: A budget was exceeded.
            pytest.UsageError: Hooks could not be installed, so that nothing can be judged.
        """
        __tracebackhide__ = True
        recorder, watch, refused = self._entered.pop()
        watch.end()
        recorder.close(error)
        judged = self.judged = self._judged(recorder)
        if self._told is not None and recorder.outer is None:
            self._told(judged)
        if error is not None:
            return
        if refused:
            raise pytest.UsageError(f"{self._fixture} cannot count: {refused[0]}")
        text = self._verdict(recorder, judged)
        if text:
            raise pytest.fail.Exception(text, pytrace=not self._place)

    async def __aenter__(self) -> Self:
        """Start recording, in a coroutine."""
        __tracebackhide__ = True
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop recording and judge, in a coroutine."""
        __tracebackhide__ = True
        self.__exit__(kind, error, traceback)

    def _judged(self, recorder: Recorder) -> Judged:
        """Freeze and judge; where Traces are stored, this one goes there too."""
        from queryscope import runtime

        found = runtime.get()
        if found.settings.store or runtime.launched():
            judged = found.finished(recorder).judged
        else:
            judged = runtime.judge_now(recorder)
        return judged if self._session is None else self._session.settle(judged)

    def _verdict(self, recorder: Recorder, judged: Judged) -> str:
        """Return the text of the failure, ``""`` when every budget was kept."""
        failing: list[Finding] = []
        if self._session is not None and self._kind == "test":
            failing = self._session.failing(judged.findings)
        if not self._limits and not failing:
            return ""
        from queryscope.pytest_plugin import message
        from queryscope.pytest_plugin.usage import usage_of

        trace, findings = judged
        exceeded: Limits = {}
        if self._limits:
            usage = usage_of(recorder, trace, findings)
            exceeded = {
                name: allowed
                for name, allowed in self._limits.items()
                if getattr(usage, name) > allowed
            }
        if not exceeded and not failing:
            return ""
        base = self._reports.shown_from
        firsts, causes = [], []
        if exceeded:
            firsts.append(message.first_line(usage, exceeded))
            causes += message.causes(recorder, trace, findings, exceeded, base)
        if failing and self._session is not None:
            firsts.append(message.strict_line(failing, self._session.policy.level))
            unsaid = [
                one for one in failing if one not in message.relevant(findings, set(exceeded))
            ]
            causes += message.strict_causes(trace, unsaid, self._session.policy, base)
        lines = ["; ".join(firsts), *causes]
        if self._place and exceeded:
            lines.append(f"budget of {self._name}, {self._place}")
        lines.append(self._reports.write(self._test, self._name, judged))
        return "\n".join(lines)


def _configure_django() -> None:
    """Put ``settings.QUERYSCOPE`` in force, as the middleware would."""
    conf = sys.modules.get("django.conf")
    settings: Any = getattr(conf, "settings", None)
    if settings is None or not settings.configured or not hasattr(settings, "QUERYSCOPE"):
        return
    from queryscope.django.middleware import configured

    configured()
