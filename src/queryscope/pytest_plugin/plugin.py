"""What pytest loads: the fixture ``query_budget``, the mark of that name, and their settings.

Which budgets are in force:

- ``query_budget(queries=5)``, as a fixture's block or as a mark, checks exactly what it names.
- A bare ``query_budget()``, or a bare mark, takes the defaults of the configuration:
  ``query_budget_queries = 10`` and so on, one setting per budget.
- Of several marks on one test the nearest counts: the function's before the class's before the
  module's. A mark whose budgets are all None lifts those further out.
- Tests without a mark have no budget, unless ``query_budget_all = true`` gives the defaults to
  every test.

A mark covers the call of the test, not its fixtures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from queryscope.pytest_plugin.budget import Block, Reports  # noqa: F401 - in a string
    from queryscope.pytest_plugin.limits import Limits

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
}

_defaults = pytest.StashKey["Limits"]()
_reports = pytest.StashKey["Reports"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare one setting per budget."""
    typed = pytest.version_tuple >= (8, 4)
    for name, meaning in _HELP.items():
        number: Any = ("float" if name == "time_ms" else "int") if typed else None
        parser.addini(
            _PREFIX + name, f"default budget of {MARK}(): {meaning}", type=number, default=None
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


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check every mark before the first test runs."""
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
    from queryscope.settings import RUN_VARIABLE

    limits = _limits_of(item)
    if limits is None and not os.environ.get(RUN_VARIABLE):
        return (yield)
    file, line, _ = item.location
    place = f"{file}:{(line or 0) + 1}"
    with _block(item, limits or {}, kind="test", place=place):
        return (yield)


def _block(item: pytest.Item, limits: Limits, **how: Any) -> Block:
    from queryscope.pytest_plugin.budget import Block, Reports

    config = item.config
    if _reports not in config.stash:
        config.stash[_reports] = Reports(config.rootpath, config.invocation_params.dir)
    return Block(limits, config.stash[_reports], test=item.nodeid, name=item.name, **how)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which hooks of queryscope failed: then budgets may have counted too little."""
    import sys

    guard = sys.modules.get("queryscope.trace.guard")
    for failure in guard.failures() if guard is not None else ():
        terminalreporter.write_line(
            f"queryscope: its own {failure.place} failed {failure.count}x: {failure.error}",
            yellow=True,
        )
