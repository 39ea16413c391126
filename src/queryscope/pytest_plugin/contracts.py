"""Contracts as tests: each request of ``contracts/*.json`` is asked again, and fails with a diff.

All requests of one project that are to run are replayed together, when the first of them is, in
child processes on a copy of the tree and of the data, as ``queryscope contract check`` does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from queryscope.errors import QueryscopeError
from queryscope.pytest_plugin.plugin import CONTRACT_UPDATE
from queryscope.report.text import counted, visible
from queryscope.verify import compare, project, recorded
from queryscope.verify.bench import Bench
from queryscope.verify.workspace import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from queryscope.verify.contract import Contract, Exchange, Request
    from queryscope.verify.recorded import Broken

MAX_LINE_CHARS = 1_000


class BrokenContractError(Exception):
    """An answer is not the one of its contract; the text says where."""


class ContractFile(pytest.File):
    """A contract's file."""

    def collect(self) -> Iterator[ContractItem]:
        """Yield an item for each request."""
        try:
            (contract,) = recorded.read([self.path])
        except QueryscopeError as error:
            raise self.CollectError(str(error)) from None
        names: dict[str, int] = {}
        for exchange in contract.exchanges:
            name = visible(str(exchange.request))
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:  # another body, other headers
                name = f"{name} #{names[name]}"
            yield ContractItem.from_parent(self, name=name, contract=contract, exchange=exchange)


class ContractItem(pytest.Item):
    """One request of a contract, and the answer that is to come.

    Attributes:
        contract: What the file holds.
        exchange: The request and its answer.
    """

    queryscope_budgets = False

    def __init__(self, *, contract: Contract, exchange: Exchange, **more: Any) -> None:
        """Take what pytest's ``from_parent`` hands over."""
        super().__init__(**more)
        self.contract = contract
        self.exchange = exchange

    def runtest(self) -> None:
        """Ask.

        Raises:
            BrokenContractError: The answer differs, or none could be had.
        """
        message = replays_of(self.session).message(self)
        if message:
            raise BrokenContractError(message)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:  # what pytest calls TerminalRepr or a string
        """Return the diff alone: no line of ours is of interest."""
        if isinstance(excinfo.value, BrokenContractError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the item stands, and what it is called."""
        return self.path, None, f"{self.path.name}: {self.name}"


class Rewritten(NamedTuple):
    """A contract that was written again, and what had differed."""

    path: str
    text: str


class Replays:
    """The contracts of one session, each project's asked once.

    Args:
        items: What is to run.
        update: Write what is answered now.
    """

    def __init__(self, items: Sequence[ContractItem], *, update: bool) -> None:
        """Ask nothing yet."""
        self._items = items
        self._update = update
        self._messages: dict[tuple[Path, str], str] = {}
        self._asked: set[Path] = set()
        self.rewritten: list[Rewritten] = []

    def message(self, item: ContractItem) -> str:
        """Return how an answer differs from its contract, ``""`` where it does not."""
        root = project.root_of(item.path.parent)
        if root not in self._asked:
            self._asked.add(root)
            ours = [one for one in self._items if project.root_of(one.path.parent) == root]
            try:
                self._ask(root, ours)
            except QueryscopeError as error:
                self._messages |= dict.fromkeys(map(_key, ours), str(error))
        return self._messages.get(_key(item), "")

    def _ask(self, root: Path, items: Sequence[ContractItem]) -> None:
        wanted: dict[Path, list[Exchange]] = {}
        for item in items:
            wanted.setdefault(item.path, []).append(item.exchange)
        whole = {item.path: item.contract for item in items}
        contracts = {
            path: replace(whole[path], exchanges=tuple(ones)) for path, ones in wanted.items()
        }
        with RunFolder() as folder:
            bench = Bench(project.load(root), folder)
            try:
                broken = recorded.check(bench, contracts.values())
            except recorded.OtherDataError as error:
                if not self._update:
                    raise
                self._write(bench, whole, dict.fromkeys(whole, str(error)))
                return
            found = {
                path: [
                    one
                    for one in broken
                    if one.endpoint == contract.endpoint and one.request in contract.requests
                ]
                for path, contract in contracts.items()
            }
            if self._update:
                texts = {path: "\n".join(map(_told, ones)) for path, ones in found.items() if ones}
                self._write(bench, whole, texts)
                return
        for path, ones in found.items():
            for one in ones:
                self._messages[path, one.request.key] = _message(one)

    def _write(self, bench: Bench, whole: dict[Path, Contract], texts: dict[Path, str]) -> None:
        """Record the contracts of some files anew, each in its own file."""
        if not texts:
            return
        asked: dict[str, list[Request]] = {}
        for path in texts:
            asked.setdefault(whole[path].endpoint, []).extend(whole[path].requests)
        made = {one.endpoint: one for one in recorded.record(bench, asked)}
        for path, text in texts.items():
            fresh, before = made[whole[path].endpoint], whole[path].requests
            ours = tuple(one for one in fresh.exchanges if one.request in before)
            recorded.write_to(replace(fresh, exchanges=ours), path)
            self.rewritten.append(Rewritten(str(path), text))


def _key(item: ContractItem) -> tuple[Path, str]:
    return item.path, item.exchange.request.key


def _told(broken: Broken) -> str:
    lines = [str(broken.request), *compare.table_of(broken.differences).splitlines()]
    return "\n  ".join(visible(line, limit=MAX_LINE_CHARS) for line in lines)


def _message(broken: Broken) -> str:
    places = counted(len(broken.differences), "place")
    return (
        f"{_told(broken)}\n"
        f"The answer differs from its contract in {places}. Where that is meant, "
        f"`pytest {CONTRACT_UPDATE}` writes it anew: look at the diff before you keep it."
    )


# -- hooks of the plugin ----------------------------------------------------------------------

_replays = pytest.StashKey[Replays]()


def replays_of(session: pytest.Session) -> Replays:
    """Return the contracts of a session, made of what is to run."""
    if _replays not in session.config.stash:
        items = [item for item in session.items if isinstance(item, ContractItem)]
        update = bool(session.config.getoption(CONTRACT_UPDATE))
        session.config.stash[_replays] = Replays(items, update=update)
    return session.config.stash[_replays]


def check_projects(items: Sequence[pytest.Item]) -> None:
    """Look at the settings of every project with a contract that is to run.

    Raises:
        pytest.UsageError: ``[tool.queryscope]`` is missing, or something in it is wrong.
    """
    folders = {item.path.parent for item in items if isinstance(item, ContractItem)}
    for folder in sorted(folders):
        try:
            project.load(folder)
        except QueryscopeError as error:
            raise pytest.UsageError(str(error)) from None


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Say which contracts were written anew."""
    found = reporter.config.stash.get(_replays, None)
    if found is None or not found.rewritten:
        return
    reporter.section("contracts written anew: look at their diff before you keep them")
    for one in found.rewritten:
        reporter.write_line(visible(one.path))
        for line in one.text.splitlines():
            reporter.write_line(f"  {line}")
