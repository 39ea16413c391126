"""What pytest loads: ``query_budget`` as a fixture and a mark, their settings, ``query_growth``.

Which budgets are in force:

- ``query_budget(queries=5)``, as a fixture's block or as a mark, checks exactly what it names.
- A bare ``query_budget()``, or a bare mark, takes the defaults of the configuration:
  ``query_budget_queries = 10`` and so on, one setting per budget.
- Of several marks on one test the nearest counts: the function's before the class's before the
  module's. A mark whose budgets are all None lifts those further out.
- Tests without a mark have no budget, unless ``query_budget_all = true`` gives the defaults to
  every test.

A mark covers the call of the test, not its fixtures.

``--queryscope-strict`` puts every call under one more rule: no open finding of level warning or
graver. What a baseline, an inline ignore or the settings of a path say is known fails nothing, nor
does what a detector tells by the clock.

A file of JSON that is a contract is collected: each of its requests is a test.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from queryscope.settings import CAPTURE_VARIABLE, RUN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from queryscope.growth.law import Law
    from queryscope.growth.sized import Growth
    from queryscope.pytest_plugin.budget import Block, Reports  # noqa: F401 - in a string
    from queryscope.pytest_plugin.limits import Limits
    from queryscope.pytest_plugin.session import Session

MARK = "query_budget"
ALL = "query_budget_all"
_PREFIX = "query_budget_"
_HELP = {
    "queries": "statements sent, without transaction, savepoint and catalogue statements",
    "sessions": "sessions that used a connection",
    "connections_held": "connections held at once from one pool",
    "n_plus_one": "findings QS101 to QS104",
    "duplicates": "statements beyond the first of each with equal parameters",
    "rows": "rows fetched",
    "time_ms": "wall time, in milliseconds",
    "waste": "share of the statements that mends would spare, from 0.0 to 1.0",
}
STRICT = "--queryscope-strict"
CONTRACT_UPDATE = "--contract-update"
CONTRACT_CAPTURE = "--contract-capture"
CONTRACT = b'"queryscope contract"'
"""Stands in the first bytes of a contract's file."""
HEAD_BYTES = 200
FLUSH_S = 5.0
"""Seconds given to what is waiting to be written when the session ends."""
_FRACTIONS = frozenset({"time_ms", "waste"})

_defaults = pytest.StashKey["Limits"]()
_reports = pytest.StashKey["Reports"]()
_session = pytest.StashKey["Session"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare one setting per budget."""
    typed = pytest.version_tuple >= (8, 4)
    for name, meaning in _HELP.items():
        number: Any = ("float" if name in _FRACTIONS else "int") if typed else None
        parser.addini(
            _PREFIX + name, f"default budget of {MARK}(): {meaning}", type=number, default=None
        )
    parser.getgroup("queryscope").addoption(
        STRICT,
        action="store_true",
        help="fail each test with an open finding of level warning or graver, or of the level "
        "that [tool.queryscope] in pyproject.toml sets",
    )
    parser.getgroup("queryscope").addoption(
        CONTRACT_UPDATE,
        action="store_true",
        help="write the contracts anew whose answers differ, and show how they differed",
    )
    parser.getgroup("queryscope").addoption(
        CONTRACT_CAPTURE,
        action="store_true",
        help="keep the requests that tests send through queryscope's middleware in the store, for "
        "`queryscope contract record --captured`",
    )
    parser.addini(ALL, f"give every test without a {MARK} mark the default budgets", type="bool")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark and check the settings."""
    config.addinivalue_line(
        "markers",
        f"{MARK}({', '.join(f'{name}=None' for name in _HELP)}): maxima for the call of the test; "
        f"without arguments the defaults {_PREFIX}queries and so on from the configuration",
    )
    config.stash[_defaults] = _checked_defaults(config)
    if config.getoption(CONTRACT_CAPTURE):
        # Workers and what tests start inherit it; a run inside a run restores what was.
        before = os.environ.get(CAPTURE_VARIABLE)
        os.environ[CAPTURE_VARIABLE] = "1"
        config.add_cleanup(lambda: _restore(before))
    if config.getoption(STRICT) or _is_configured(config):
        _session_of(config)


def _restore(before: str | None) -> None:
    """Put the variable back, once what was captured is written."""
    runtime = sys.modules.get("queryscope.runtime")
    if runtime is not None:
        runtime.flush_waiting(FLUSH_S)
    if before is None:
        os.environ.pop(CAPTURE_VARIABLE, None)
    else:
        os.environ[CAPTURE_VARIABLE] = before


def _is_configured(config: pytest.Config) -> bool:
    """Tell whether the project has decided something about findings, without importing anything."""
    root = config.rootpath
    if (root / "queryscope-baseline.toml").exists():
        return True
    files = (folder / "pyproject.toml" for folder in (root, *root.parents))
    project = next((file for file in files if file.is_file()), None)
    try:
        return project is not None and b"tool.queryscope" in project.read_bytes()
    except OSError:
        return False


def _session_of(config: pytest.Config) -> Session:
    """Return what this session has found so far.

    Raises:
        pytest.UsageError: Something in ``[tool.queryscope]`` or in the baseline is wrong.
    """
    if _session not in config.stash:
        from queryscope.errors import SettingsError
        from queryscope.policy.decisions import load
        from queryscope.pytest_plugin.session import Hooks, Session

        try:
            policy = load(config.rootpath)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[_session] = Session(policy, strict=config.getoption(STRICT))
        config.pluginmanager.register(Hooks(config.stash[_session]), "queryscope-session")
    return config.stash[_session]


def _checked_defaults(config: pytest.Config) -> Limits:
    from queryscope.errors import SettingsError
    from queryscope.pytest_plugin.limits import checked

    known = {_PREFIX + name: name for name in _HELP}
    # Read under the name of the attribute: pytest 9 deprecates its own property for it.
    written = vars(config).get("_inicfg") or vars(config).get("inicfg") or {}
    values: dict[str, Any] = {}
    for key in written:
        if str(key).startswith(_PREFIX) and key not in known and key != ALL:
            values[str(key).removeprefix(_PREFIX)] = None
    try:
        checked("pytest configuration", (), values)
        values = {name: _number(config, key) for key, name in known.items()}
        found = checked("pytest configuration", (), values)
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    if not found and config.getini(ALL):
        raise pytest.UsageError(
            f"pytest configuration: {ALL} gives every test the default budgets, and there are "
            f"none. Set some, such as {_PREFIX}queries = 20."
        )
    return found


def _number(config: pytest.Config, key: str) -> Any:
    """Return a setting; a string that pytest did not convert becomes the number it spells."""
    try:
        value = config.getini(key)
    except (ValueError, TypeError, pytest.UsageError) as error:
        raise pytest.UsageError(f"pytest configuration: {key}: {error}") from None
    if not isinstance(value, str):
        return value
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    return value


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a contract: each of its requests is a test."""
    if file_path.suffix != ".json":
        return None
    try:
        with file_path.open("rb") as file:
            is_one = CONTRACT in file.read(HEAD_BYTES)
    except OSError:
        return None
    if not is_one:
        return None
    from queryscope.pytest_plugin.contracts import ContractFile

    return ContractFile.from_parent(parent, path=file_path)


def _contracts() -> Any:
    """Return the module that asks contracts, None where no contract was collected."""
    return sys.modules.get("queryscope.pytest_plugin.contracts")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check every mark, and the project of every contract, before the first test runs."""
    contracts = _contracts()
    if contracts is not None:
        contracts.check_projects(session.items)
    for item in session.items:
        if item.get_closest_marker(MARK) is not None:
            _limits_of(item)


def _limits_of(item: pytest.Item) -> Limits | None:
    """Return the maxima for a test's call, None when it has no budget.

    Raises:
        pytest.UsageError: Its mark is wrong.
    """
    mark = item.get_closest_marker(MARK)
    if mark is None:
        return item.config.stash[_defaults] if item.config.getini(ALL) else None
    return _limits(item.config, f"{item.nodeid}: mark {MARK}", mark.args, mark.kwargs)


def _limits(
    config: pytest.Config, source: str, positional: Iterable[Any], named: Mapping[str, Any]
) -> Limits:
    from queryscope.errors import SettingsError
    from queryscope.pytest_plugin.limits import checked

    __tracebackhide__ = True
    positional = tuple(positional)
    if positional or named:
        try:
            return checked(source, positional, named)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
    found = config.stash[_defaults]
    if not found:
        raise pytest.UsageError(
            f"{source}: it names no budget, and the pytest configuration has no defaults. "
            f"Name one, such as {MARK}(queries=5), or set {_PREFIX}queries = 5."
        )
    return found


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Put the call of a marked test under its budget."""
    if not getattr(item, "queryscope_budgets", True):
        return (yield)
    limits = _limits_of(item)
    unasked = limits is None and not item.config.getoption(STRICT)
    if unasked and not os.environ.get(RUN_VARIABLE):
        return (yield)
    file, line, _ = item.location
    place = f"{file}:{(line or 0) + 1}"
    with _block(item, limits or {}, kind="test", place=place):
        return (yield)


def _block(item: pytest.Item, limits: Limits, **how: Any) -> Block:
    from queryscope.pytest_plugin.budget import Block, Reports

    config = item.config
    if _reports not in config.stash:
        worker = getattr(config, "workerinput", {}).get("workerid", "")
        config.stash[_reports] = Reports(config.rootpath, config.invocation_params.dir, worker)
    session = _session_of(config)
    return Block(
        limits,
        config.stash[_reports],
        test=item.nodeid,
        name=item.name,
        session=session,
        told=lambda judged: session.add(item, judged),
        **how,
    )


class QueryBudget:
    """The fixture's value: ``with query_budget(queries=5): ...``."""

    def __init__(self, item: pytest.Item) -> None:
        """Belong to one test."""
        self._item = item

    if TYPE_CHECKING:

        def __call__(
            self,
            queries: int | None = None,
            *,
            sessions: int | None = None,
            connections_held: int | None = None,
            n_plus_one: int | None = None,
            duplicates: int | None = None,
            rows: int | None = None,
            time_ms: float | None = None,
            waste: float | None = None,
        ) -> Block:
            """Return a block with these maxima, over it and all Traces inside it.

            Args:
                queries: Statements sent, without transaction, savepoint and catalogue ones.
                sessions: Sessions that used a connection; on Django connections in use.
                connections_held: Most held at once from one pool; Django has pools only with
                    ``OPTIONS["pool"]``. What was taken before the block is not in it.
                n_plus_one: Findings QS101 to QS104.
                duplicates: Statements beyond the first of each with equal parameters, writes
                    between them or not.
                rows: Rows fetched.
                time_ms: Wall time of the block.
                waste: Share of the statements that mends would spare, from 0.0 to 1.0: those of
                    open findings of medium confidence or more, each statement once.

            Raises:
                pytest.UsageError: A name is unknown or a value is no number from 0 on.
            """

    else:

        def __call__(self, *positional: Any, **named: Any) -> Block:  # noqa: D102 - above
            __tracebackhide__ = True
            limits = _limits(self._item.config, MARK, positional, named)
            return _block(self._item, limits)


@pytest.fixture
def query_budget(request: pytest.FixtureRequest) -> QueryBudget:
    """Give a block maxima for what it asks of the database, as in ``query_budget(queries=5)``."""
    return QueryBudget(request.node)


class QueryGrowth:
    """The fixture's value: ``query_growth(run, make=make)``."""

    def __init__(self, item: pytest.Item) -> None:
        """Belong to one test."""
        self._item = item

    def __call__(
        self,
        run: Callable[..., Any],
        *,
        make: Callable[[int], Any] | None = None,
        sizes: Sequence[int] = (2, 4, 8),
        law: Law = "1",
    ) -> Any:
        """Run a piece of work on 2, 4 and 8 rows, and fail where statements grow faster than said.

        Args:
            run: The work: called without arguments after ``make``; where there is no ``make``,
                called with the number of rows. Where it or ``make`` is a coroutine function, the
                call is to be awaited.
            make: Adds so many rows to those that are there: it is called with 2, 2 and 4. What it
                sends is not counted.
            sizes: Rows of the runs, ascending; three or more, else a square passes for a line.
            law: What may be: ``"1"``, constant; ``"n"``, so many for each row; ``"n*m"``, a loop
                in a loop. Slower growth passes, too.

        Returns:
            The ``Growth``: ``law``, ``statements`` of each run, ``lines``, and ``at(10_000)``,
            the statements for 10,000 rows.

        Raises:
            pytest.fail.Exception: A line grows faster.
            pytest.UsageError: Sizes or law are wrong, or no run sent a statement.
        """
        __tracebackhide__ = True
        from queryscope.pytest_plugin import growth

        measured = growth.Measured(
            lambda: _block(self._item, {}, fixture="query_growth"),
            sizes,
            law,
            with_make=make is not None,
        )
        if growth.is_asynchronous(run, make):
            return self._judge_async(measured, run, make)
        growth.measure(measured, run, make)
        return self._judged(measured)

    async def _judge_async(self, measured: Any, run: Any, make: Any) -> Growth:
        __tracebackhide__ = True
        from queryscope.pytest_plugin import growth

        await growth.measure_async(measured, run, make)
        return self._judged(measured)

    def _judged(self, measured: Any) -> Growth:
        __tracebackhide__ = True
        found: tuple[Growth, str] = measured.verdict(self._item.config.invocation_params.dir)
        judged = measured.last.judged
        if found[1] and judged is not None:
            written = self._item.config.stash[_reports].write(
                self._item.nodeid, self._item.name, judged
            )
            raise pytest.fail.Exception(f"{found[1]}\n{written}")
        return found[0]


@pytest.fixture
def query_growth(request: pytest.FixtureRequest) -> QueryGrowth:
    """Assert how the statements of a piece of work grow with its rows."""
    return QueryGrowth(request.node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which contracts were written, and which of our hooks failed: budgets may be too low."""
    contracts = _contracts()
    if contracts is not None:
        contracts.summarize(terminalreporter)
    guard = sys.modules.get("queryscope.trace.guard")
    for failure in guard.failures() if guard is not None else ():
        terminalreporter.write_line(
            f"queryscope: its own {failure.place} failed {failure.count}x: {failure.error}",
            yellow=True,
        )
