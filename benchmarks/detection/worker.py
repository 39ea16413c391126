"""Runs every scenario of one ORM on one database, watched; writes what was said, as JSON lines.

``python -m benchmarks.detection.worker ORDER`` with the order as JSON: ``orm``, ``watcher``,
``url``, ``async_url``, ``sizes``, ``only`` (names) and ``codes`` (each empty for all), ``output``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import traceback
import warnings
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.detection.peer_watchers import PEERS
from benchmarks.detection.scenario import Scenario, all_scenarios
from benchmarks.detection.watchers import Queryscope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

each = map
"""By another name, no loop of ours stands around the scenarios: what they do several times over
would be done in it."""


def main() -> None:
    """Run and write."""
    # Frameworks log what a scenario raises on purpose; what scenarios log has to be logged.
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger("django").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    order = json.loads(sys.argv[1])
    kind: Any = PEERS.get(order["watcher"], Queryscope)
    shelf: Any = {"django": OnDjango, "sqlalchemy": OnSqlalchemy}[order["orm"]](order, kind)
    watcher = kind(order["orm"])
    scenarios = list(all_scenarios(order["orm"]).values())
    only, codes = set(order["only"]), set(order["codes"])
    chosen = [
        item
        for item in scenarios
        if (not only or item.name in only)
        and (not codes or item.code in codes)
        and (shelf.has_async or not item.asynchronous)
    ]
    with Path(order["output"]).open("w", encoding="utf-8") as lines:
        lines.write(json.dumps({"scenarios": [item.declared() for item in chosen]}) + "\n")
        tries = [
            (size, item) for size in order["sizes"] for item in chosen if size >= item.at_least
        ]
        for line in each(partial(_one, shelf, watcher), tries):
            lines.write(json.dumps(line) + "\n")
            lines.flush()
    shelf.end()


def _one(shelf: Any, watcher: Any, tried: tuple[int, Scenario]) -> dict[str, Any]:
    """Run one scenario with one size; return what was said, what it answered, what went wrong."""
    size, scenario = tried
    found: dict[str, Any] = {"name": scenario.name, "size": size, "reports": [], "error": ""}
    try:
        reports, answer = _settled(shelf, watcher, size, scenario, TRIES)
        found["reports"] = reports
        found["answer"] = repr(answer if scenario.after is None else scenario.after())
    except Exception:  # noqa: BLE001 - told with its name, and the others go on
        shelf.stale = True
        found["error"] = traceback.format_exc()
    return found


def _settled(
    shelf: Any, watcher: Any, size: int, scenario: Scenario, tries: int
) -> tuple[list[Any], Any]:
    """Run a scenario; again, while a code of time is said that is not wanted."""
    shelf.prepare(size)
    shelf.stale = scenario.writes
    runs = list(each(partial(_turn, shelf, scenario, watcher), range(scenario.times)))
    true = {scenario.code, *scenario.accept, *scenario.also}
    reports = watcher.reports(
        [seen for seen, _ in runs],
        timed=bool(TIMED & true),
        url=shelf.url if scenario.code in PLANNED else "",
        settings=scenario.settings,
    )
    unwanted = BY_CLOCK if scenario.kind != "dirty" else BY_CLOCK - true
    if tries > 1 and unwanted & {report.code for report in reports}:
        return _settled(shelf, watcher, size, scenario, tries - 1)
    return reports, runs[-1][1]


def _turn(shelf: Shelf, scenario: Scenario, watcher: Any, turn: int) -> tuple[Any, Any]:
    """Make one of the requests of a scenario; return what was seen and its answer."""
    if turn and scenario.between is not None:
        scenario.between()
    return shelf.run(scenario, watcher, turn)


PLANNED = {"QS310", "QS312", "QS317", "QS401", "QS402", "QS403", "QS404", "QS405"}
"""Codes that ask the database for its plans and its schema; other scenarios do without."""
TIMED = {"QS502", "QS504", "QS506", "QS602"}
"""Codes of idle time and of waiting, which scenarios of other codes are not asked about."""
BY_CLOCK = {*TIMED, "QS404"}
TRIES = 3
"""Where a code of time is said that is not wanted, it counts when it is said at each try: on a
busy machine anything may have to wait once."""


@asynccontextmanager
async def _in_the_loop(block: Any) -> AsyncIterator[Any]:
    with block as seen:
        yield seen


class Shelf(ABC):
    """The rows of one ORM, and how a scenario is run on them."""

    has_async = True
    """There is an asynchronous driver."""

    def __init__(self, url: str) -> None:
        """Nothing is there yet."""
        self.url = url
        self.size = 0
        self.stale = True

    def prepare(self, size: int) -> None:
        """Make the rows if they are not there as they should be."""
        if self.stale or size != self.size:
            self.fill(size)
        self.size, self.stale = size, False

    def run(self, scenario: Scenario, watcher: Any, turn: int) -> tuple[Any, Any]:
        """Run it, watched, as two endpoints in turns; return what was seen and its answer."""
        endpoint = f"{scenario.name} {turn % 2}"
        if scenario.asynchronous:
            return asyncio.run(self.run_async(scenario, watcher, endpoint))
        with watcher.watch(endpoint) as seen:
            answer = self.answer(scenario)
        return seen, answer

    async def run_async(self, scenario: Scenario, watcher: Any, endpoint: str) -> tuple[Any, Any]:
        """Run it in an event loop of its own."""
        watch = self.by_thread if watcher.by_thread else _in_the_loop
        try:
            async with watch(watcher.watch(endpoint)) as seen:
                answer = await self.answer_async(scenario)
        finally:
            await self.end_loop()
        return seen, answer

    def answer(self, scenario: Scenario) -> Any:
        """Call it, or make the request that it answers."""
        return scenario.run()

    async def answer_async(self, scenario: Scenario) -> Any:
        """Await it, or make the request that it answers."""
        return await scenario.run()

    def by_thread(self, block: Any) -> AbstractAsyncContextManager[Any]:
        """Enter a block in the thread whose connections a coroutine uses."""
        return _in_the_loop(block)

    @abstractmethod
    def fill(self, size: int) -> None:
        """Make the rows of a size."""

    @abstractmethod
    async def end_loop(self) -> None:
        """Give back what belongs to an event loop."""

    @abstractmethod
    def end(self) -> None:
        """Close what is open."""


class OnDjango(Shelf):
    """Django's rows."""

    def __init__(self, order: dict[str, Any], watcher: Any) -> None:
        """Set Django up on the database."""
        super().__init__(order["url"])
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.detection.django_shelf.settings"
        os.environ["DETECTION_DATABASES"] = json.dumps(_databases(order["url"]))
        os.environ["DETECTION_MIDDLEWARE"] = json.dumps(watcher.middleware)
        os.environ["DETECTION_APPS"] = json.dumps(watcher.apps)
        if watcher.debug:
            os.environ["DETECTION_DEBUG"] = "1"
        import django

        django.setup()
        from benchmarks.detection.django_shelf import data

        self.data = data
        data.make_tables()
        from django.test import AsyncClient, Client
        from django.test.utils import setup_test_environment

        setup_test_environment(debug=watcher.debug)
        self.client = Client()
        self.async_client = AsyncClient()

    def fill(self, size: int) -> None:
        """Make the rows of a size."""
        self.data.fill(size)

    def answer(self, scenario: Scenario) -> Any:
        """Call it, or make a request and read the response to its end."""
        if scenario.way == "call":
            return scenario.run()
        response = getattr(self.client, scenario.way)(f"/{scenario.name}/")
        content = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        return response.status_code, content

    async def answer_async(self, scenario: Scenario) -> Any:
        """Do the same in an event loop."""
        if scenario.way == "call":
            return await scenario.run()
        response = await getattr(self.async_client, scenario.way)(f"/{scenario.name}/")
        if not response.streaming:
            return response.status_code, response.content
        content = b"".join([chunk async for chunk in response.streaming_content])
        response.close()
        return response.status_code, content

    @asynccontextmanager
    async def by_thread(self, block: Any) -> AsyncIterator[Any]:
        """Do so where Django runs its ORM and middleware that is not asynchronous."""
        from asgiref.sync import sync_to_async

        seen = await sync_to_async(block.__enter__)()
        try:
            yield seen
        finally:
            await sync_to_async(block.__exit__)(None, None, None)

    async def end_loop(self) -> None:
        """Close the connections of the loop's thread."""
        from asgiref.sync import sync_to_async
        from django.db import connections

        await sync_to_async(connections.close_all)()

    def end(self) -> None:
        """Close the connections."""
        from django.db import connections

        connections.close_all()


class OnSqlalchemy(Shelf):
    """SQLAlchemy's rows."""

    def __init__(self, order: dict[str, Any], _watcher: Any) -> None:
        """Make the engines and the tables."""
        super().__init__(order["url"])
        from benchmarks.detection.sqlalchemy_shelf import data

        self.data = data
        self.has_async = bool(order["async_url"])
        data.connect(order["url"], order["async_url"])
        data.make_tables()

    def fill(self, size: int) -> None:
        """Make the rows of a size."""
        self.data.fill(size)

    async def end_loop(self) -> None:
        """Give back the connections of the loop."""
        await self.data.async_engine.dispose()

    def end(self) -> None:
        """Close the engine."""
        self.data.engine.dispose()


def _databases(url: str) -> dict[str, Any]:
    """Return Django's setting for a URL; a second alias lies in the same database."""
    where = urlsplit(url)
    if where.scheme == "sqlite":
        one = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.partition("///")[2]}
    else:
        engine = "postgresql" if where.scheme == "postgresql" else "mysql"
        one = {
            "ENGINE": f"django.db.backends.{engine}",
            "NAME": where.path.strip("/"),
            "USER": where.username or "",
            "PASSWORD": where.password or "",
            "HOST": where.hostname or "",
            "PORT": str(where.port or ""),
        }
    return {"default": one, "second": dict(one)}


if __name__ == "__main__":
    main()
