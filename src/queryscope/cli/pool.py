"""The command ``queryscope pool``: what recorded holding times say about pools under more load."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.cli.counts import count_from_one
from queryscope.cli.recorded import add_newest, newest, write_text
from queryscope.cli.server import Limit, limit_of
from queryscope.detectors.qs512_pool_larger_than_server import advice, wanted_connections
from queryscope.errors import NotFoundError, SettingsError
from queryscope.prophet.forecast import Options, forecast
from queryscope.prophet.simulation import ARRIVALS, SEED, TIMEOUT_S
from queryscope.prophet.visits import histories
from queryscope.report.text import duration, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from queryscope.prophet.forecast import Forecast
    from queryscope.prophet.queueing import Waits
    from queryscope.prophet.visits import PoolHistory

LIMIT = 2_000
"""Traces looked at unless another number is given."""
FORMATS = ("terminal", "json")
_MAX_RATE = 1e6


class Server(NamedTuple):
    """All processes' pools beside what the server admits.

    Attributes:
        processes: How many have such pools.
        wanted: Connections that they may open together; None: a pool has no bound.
        admitted: What the server admits.
        limit: What it said, None where the number was given.
    """

    processes: int
    wanted: int | None
    admitted: int
    limit: Limit | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``pool``."""
    add_newest(parser, LIMIT, "look at the newest N Traces")
    parser.add_argument(
        "--rate",
        type=_above_zero,
        action="append",
        metavar="R",
        help="arrivals a second to foretell the waits for; may stand several times (default: 50, "
        "70, 80 and 90 %% of what the pool admits)",
    )
    parser.add_argument(
        "--capacity",
        type=count_from_one,
        metavar="S",
        help="reckon with so many connections (default: pool_size + max_overflow as recorded)",
    )
    parser.add_argument(
        "--concurrency",
        type=count_from_one,
        metavar="T",
        help="say whether so many requests at a time can deadlock",
    )
    parser.add_argument(
        "--timeout",
        type=_above_zero,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long a request waits for a connection (default: {TIMEOUT_S:g})",
    )
    parser.add_argument(
        "--processes",
        type=count_from_one,
        metavar="N",
        help="processes that have such pools, on all machines; for QS512",
    )
    server = parser.add_mutually_exclusive_group()
    server.add_argument(
        "--database",
        metavar="URL",
        help="ask this server how many connections it admits, such as postgresql://user@host/name",
    )
    server.add_argument(
        "--server-limit", type=count_from_one, metavar="N", help="connections that it admits"
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, help="of the simulation (default: always the same)"
    )
    parser.add_argument(
        "--arrivals",
        type=count_from_one,
        default=ARRIVALS,
        metavar="N",
        help=f"requests of each simulation (default: {ARRIVALS:,})",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="terminal", help="the form (default: terminal)"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="where to write it; - is the standard output (default)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the forecast of each pool."""
    asks_server = options.database is not None or options.server_limit is not None
    if asks_server and options.processes is None:
        raise SettingsError(
            "--database and --server-limit need --processes: how many processes have such a pool."
        )
    if options.processes is not None and not asks_server:
        raise SettingsError("--processes needs --database or --server-limit to compare with.")
    found = histories(judged.trace for judged in newest(options))
    if not found:
        raise NotFoundError(
            f"No Trace in {options.store} has a connection from a pool: those of SQLAlchemy and of "
            "psycopg under Django are recorded. Without a pool nobody waits for one."
        )
    how = Options(
        rates=tuple(options.rate or ()),
        capacity=options.capacity,
        timeout_s=options.timeout,
        arrivals=options.arrivals,
        seed=options.seed,
    )
    forecasts = [(history, forecast(history, how)) for history in found]
    server = _server(options, forecasts) if asks_server else None
    if options.format == "json":
        text = _json(forecasts, server)
    else:
        text = "\n".join(_terminal(forecasts, server, options.concurrency))
    write_text(text, options.output)
    return 0


def _above_zero(text: str) -> float:
    """Return a number above 0.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _MAX_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _server(
    options: argparse.Namespace, forecasts: Sequence[tuple[PoolHistory, Forecast | None]]
) -> Server:
    limit = None if options.database is None else limit_of(options.database)
    admitted = options.server_limit if limit is None else limit.admitted
    wanted: int | None = 0
    for history, _ in forecasts:
        capacity = history.capacity if options.capacity is None else options.capacity
        more = wanted_connections(options.processes, capacity)
        wanted = None if wanted is None or more is None else wanted + more
    return Server(options.processes, wanted, admitted, limit)


# -- as JSON ---------------------------------------------------------------------------------


def _json(forecasts: Iterable[tuple[PoolHistory, Forecast | None]], server: Server | None) -> str:
    pools = []
    for history, found in forecasts:
        pool: dict[str, Any] = {
            "pool": history.name,
            "size": history.size,
            "max_overflow": history.max_overflow,
            "capacity": history.capacity,
            "requests": len(history.visits),
            "timed_out": history.timed_out,
            "forecast": None,
        }
        if found is not None:
            told = asdict(found)
            told["rates"] = [_plain(rate) for rate in found.rates]
            told["changes"] = [_plain(change) for change in found.changes]
            told["hold"], told["recorded"] = _plain(found.hold), _plain(found.recorded)
            pool["forecast"] = told
        pools.append(pool)
    document = {"pools": pools, "server": None if server is None else _plain(server)}
    return json.dumps(_finite(document), indent=2)


def _plain(value: Any) -> Any:
    """Return a named tuple, and those in it, as dicts."""
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _finite(value: Any) -> Any:
    """Return a document with null for what is endless: JSON has no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


# -- for a terminal --------------------------------------------------------------------------


def _terminal(
    forecasts: Iterable[tuple[PoolHistory, Forecast | None]],
    server: Server | None,
    concurrency: int | None,
) -> Iterator[str]:
    for history, found in forecasts:
        name = visible(history.name)
        if found is None:
            yield f"pool {name}: without a bound, so nobody waits; {_requests(history)}"
            yield ""
            continue
        yield f"pool {name}: {found.capacity} connections; {_requests(history)}"
        if found.few:
            yield "  They are few: the longest waits are rough."
        yield ""
        yield from _pool(found, history, concurrency)
        yield ""
    if server is not None:
        yield from _said_of(server)


def _requests(history: PoolHistory) -> str:
    count = len(history.visits)
    return f"{count:,} recorded request{'' if count == 1 else 's'}"


def _pool(found: Forecast, history: PoolHistory, concurrency: int | None) -> Iterator[str]:
    held = f"up to {found.most_held} at once" if found.most_held > 1 else "one at a time"
    yield f"  a request holds   {_time(found.connection_s)} of connection-time, {held}"
    yield f"  the pool admits   {found.admitted_per_second:,.1f} requests/s at most"
    yield f"  nobody waits      up to {found.waitless_concurrency} requests at a time"
    if found.deadlock_from is None:
        yield "  deadlock          never: no request waits for a connection while it holds one"
    else:
        yield (
            f"  deadlock          possible from {found.deadlock_from} requests at a time on; "
            f"safe up to {found.safe_concurrency}"
        )
        if concurrency is not None:
            can = concurrency >= found.deadlock_from
            yield f"                    {concurrency} requests {'can' if can else 'cannot'}"
    if found.recorded.share or history.timed_out:
        yield (
            f"  recorded waits    {_time(found.recorded.mean_s)} on average, one in twenty over "
            f"{_time(found.recorded.p95_s)}; {history.timed_out} got no connection"
        )
    yield ""
    yield from _table(
        ("requests/s", "in use", "mean wait", "p95", "gave up", "M/M/c mean", "M/M/c p95"),
        (
            (
                f"{rate.per_second:,.1f}",
                f"{rate.utilisation:.0%}",
                *_waits(rate.waits),
                f"{rate.timed_out:.1%}",
                *_waits(rate.textbook),
            )
            for rate in found.rates
        ),
    )
    if found.changes:
        yield ""
        yield f"  the same {found.capacity} connections at {found.changes_at:,.1f} requests/s:"
        yield ""
        yield from _table(
            ("", "held", "at once", "deadlock", "mean wait", "p95", "gave up"),
            (
                (
                    change.name + _lanes(change.capacities),
                    _time(change.connection_s),
                    str(change.most_held),
                    "never" if change.deadlock_from is None else f"from {change.deadlock_from}",
                    *_waits(change.waits),
                    f"{change.timed_out:.1%}",
                )
                for change in found.changes
            ),
        )


def _lanes(capacities: dict[str, int]) -> str:
    if len(capacities) == 1:
        return ""
    return f" ({' + '.join(f'{count} {lane}' for lane, count in capacities.items())})"


def _waits(waits: Waits) -> tuple[str, str]:
    return _time(waits.mean_s), _time(waits.p95_s)


def _time(seconds: float) -> str:
    return duration(round(seconds * 1e9)) if math.isfinite(seconds) else "endless"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield lines of a table: the first column to the left if it has no heading."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            f"{text:<{width}}" if not column and not header[0] else f"{text:>{width}}"
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _said_of(server: Server) -> Iterator[str]:
    limit = server.limit
    said = "" if limit is None else f" ({limit.connections} less {limit.reserved} reserved)"
    if limit is not None and limit.admitted < limit.connections - limit.reserved:
        said = f" (a limit of this user or database; the server's is {limit.connections})"
    if server.wanted is None:
        yield f"server: admits {server.admitted}{said}; a pool without a bound may want any number"
    elif server.wanted > server.admitted:
        yield (
            f"QS512: {server.processes} processes may open {server.wanted} connections; the server "
            f"admits {server.admitted}{said}."
        )
        yield f"  {advice(server.processes, server.admitted)}"
    else:
        yield (
            f"server: {server.processes} processes may open {server.wanted} connections, and it "
            f"admits {server.admitted}{said}."
        )
