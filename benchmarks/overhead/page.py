"""The results as tables: for the terminal, and as a page of the documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import peers
from pairs import Middle
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

LIGHT_RATIO, FULL_RATIO = 1.06, 1.10
"""A recorded request of 100 queries by the bare one, CPU time."""
FIXED_MS = 0.3
"""Milliseconds that recording adds to a request without queries, detection included."""
LINEAR = 1.1
"""Cost a query at 1,000 queries by the cost at 100."""
IDLE = 1.005
"""A request with the hooks in and no Recorder, by one without them."""
READS_RATIO = 1.15
"""A request recorded in full with read tracking, by one of a process without queryscope."""
PEAK_BYTES = 512.0
"""Peak memory a query."""
AT = 100


class Target(NamedTuple):
    """A number that was aimed at, and whether it was reached; None: the noise does not tell."""

    what: str
    aim: str
    measured: str
    met: bool | None


class Rows(NamedTuple):
    """A table."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def read(path: Path) -> dict[str, Any]:
    """Return what ``run.py`` has written."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), object_hook=_object)
    return found


def _object(found: dict[str, Any]) -> Any:
    return Middle(**found) if set(found) == set(Middle._fields) else found


def _at(entry: dict[str, Any], queries: int) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in entry["sizes"] if row["queries"] == queries)
    return found


def per_query(entry: dict[str, Any], queries: int) -> Middle:
    """Return the microseconds that a query adds, without what the request adds by itself."""
    found: Middle = _at(entry, queries)["query_us"]
    return found


def _below(found: Middle, limit: float) -> bool | None:
    """Tell whether a median is below a limit; None when the limit lies in its interval."""
    if found.high <= limit:
        return True
    return None if found.low <= limit else False


def ratios(result: dict[str, Any]) -> list[Target]:
    """Return the aims that hold on any machine: a request by the same one without us."""
    found = []
    for name, entry in result["ours"].items():
        limit = LIGHT_RATIO if name.endswith("light") else FULL_RATIO
        cpu = _at(entry, AT)["cpu"]
        what = f"{name}: request of 100 queries"
        found.append(Target(what, f"<= {limit}", cpu.show(3), _below(cpu, limit)))
    return found


def targets(result: dict[str, Any]) -> list[Target]:
    """Return what was aimed at beside what was measured."""
    ours = result["ours"]
    found = ratios(result)
    for name, entry in ours.items():
        fixed = entry["fixed_us"].times(1e-3)
        what = f"{name}: fixed cost of a request, detection included"
        found.append(
            Target(what, f"<= {FIXED_MS} ms", f"{fixed.show(2)} ms", _below(fixed, FIXED_MS))
        )
    for name, entry in ours.items():
        top = entry["sizes"][-1]["queries"]
        if top > AT:
            growth = per_query(entry, top).value / per_query(entry, AT).value
            what = f"{name}: cost a query, {top:,} by 100"
            found.append(Target(what, f"<= {LINEAR}", f"{growth:.2f}", growth <= LINEAR))
    for name, entry in ours.items():
        peak = entry["memory"]["request"]
        what = f"{name}: peak memory a query"
        found.append(Target(what, "<= 512 B", f"{peak:.0f} B", peak <= PEAK_BYTES))
    for name, row in result.get("idle", {}).items():
        what = f"{name}: installed but idle"
        found.append(Target(what, f"<= {IDLE}", row["cpu"].show(4), _below(row["cpu"], IDLE)))
    for name, row in result.get("reads", {}).items():
        met = _below(row["reads"], READS_RATIO)
        what = f"{name}: with read tracking"
        found.append(Target(what, f"<= {READS_RATIO}", row["reads"].show(3), met))
    rows = result.get("peers", {}).get("rows", {})
    for peer in peers.PEERS:
        if peer.subject in rows:
            mine = _at(ours[f"{peer.framework}-light"], AT)["added_us"].value
            share = mine / rows[peer.subject]["added_us"].value
            what = f"{peer.framework}-light: added cost by that of {peer.subject}"
            aim = f"<= 1/{1 / peer.share:.0f}"
            found.append(Target(what, aim, f"1/{1 / share:.1f}", share <= peer.share))
    return found


def tables(result: dict[str, Any]) -> list[Rows]:
    """Return the tables of the results."""
    found = [_requests(result), _queries(result)]
    if "idle" in result:
        found.append(_idle(result))
    if "reads" in result:
        found.append(_reads(result))
    if "peers" in result:
        found.append(_peers(result))
    return found


def _requests(result: dict[str, Any]) -> Rows:
    rows = []
    for name, entry in result["ours"].items():
        for row in [*entry["sizes"][1:], entry["lazy"]]:
            kind = "lazy loads" if row is entry["lazy"] else "queries"
            rows.append(
                (
                    name,
                    f"{row['queries']:,} {kind}",
                    row["cpu"].show(3),
                    row["wall"].show(3),
                    row["noise"].show(3),
                )
            )
    return Rows(
        "A recorded request by a bare one",
        "In each process the median of the ratios of pairs; shown is the median over "
        f"{result['processes']} processes, each with its objects laid out by chance, and its "
        "interval of 95 %. The last column is a bare request by another bare one: what a ratio of "
        "1 looks like here.",
        ("what", "a request of", "CPU time", "wall time", "noise, CPU time"),
        rows,
    )


def _queries(result: dict[str, Any]) -> Rows:
    rows = []
    for name, entry in result["ours"].items():
        empty = _at(entry, 0)
        sizes = [row["queries"] for row in entry["sizes"][1:]]
        off = _at(entry, AT)["off_us"].value - empty["off_us"].value
        rows.append(
            (
                name,
                f"{empty['added_us'].value:.0f}",
                f"{empty['off_us'].value:.0f}",
                entry["fixed_us"].show(0),
                " / ".join(f"{per_query(entry, size).value:.1f}" for size in sizes),
                f"{off / AT:.1f}",
                f"{100 * _at(entry, AT)['off_share'].value:.0f} %",
                f"{entry['memory']['request']:.0f} / {entry['memory']['frozen']:.0f}",
            )
        )
    shown = " / ".join(
        f"{row['queries']:,}" for row in next(iter(result["ours"].values()))["sizes"][1:]
    )
    return Rows(
        "What a request and a query add",
        "Microseconds of CPU time. Off the path is the writer's thread: the Trace is frozen, "
        "judged and kept after the response is closed, here one Trace at a time. In a row: both "
        "together for one of 25 requests without queries, one after the other, as under load, "
        "where the writer takes what is there. The share off the path is of the bare request of "
        "100 queries. Memory is the peak in bytes, of the request and with the frozen Trace.",
        (
            "what",
            "a request",
            "and off its path",
            "in a row",
            f"a query, at {shown}",
            "and off its path",
            "share of CPU off the path",
            "memory a query",
        ),
        rows,
    )


def _idle(result: dict[str, Any]) -> Rows:
    return Rows(
        "Installed but idle",
        "A request of 100 queries without our middleware, with the hooks in by the same with them "
        "taken out, alternating in one process; median over "
        f"{result['sets']} processes, each with its objects laid out by chance. The noise is one "
        "block without hooks by another. The pairs of the first table do not contain this cost, "
        "since both halves pay it.",
        ("what", "CPU time", "noise"),
        [(name, row["cpu"].show(4), row["noise"].show(4)) for name, row in result["idle"].items()],
    )


def _reads(result: dict[str, Any]) -> Rows:
    return Rows(
        "Read tracking",
        "Processes without queryscope, with full recording, and with full recording and read "
        f"tracking answer in turn; median over {result['sets']} sets of fresh ones. Where reads "
        "are tracked the classes themselves are changed, so the bare request is that of another "
        "process. `/rows/1000` asks for 1,000 instances at once and reads their columns, "
        "`/serialized/1000` hands them to a serializer of Django REST framework, `/books/100` "
        "asks for 100 rows one by one.",
        ("a request of", "full", "full with read tracking"),
        [
            (name, row["full"].show(3), row["reads"].show(3))
            for name, row in result["reads"].items()
        ],
    )


class Beside(NamedTuple):
    """What one tool adds to a request of 100 queries, in microseconds."""

    name: str
    framework: str
    cpu: Middle
    added_us: Middle
    query_us: Middle
    request_us: Middle


def beside(result: dict[str, Any]) -> list[Beside]:
    """Return what ours and the peers add."""
    found = []
    for name, entry in result["ours"].items():
        at = _at(entry, AT)
        found.append(
            Beside(
                f"queryscope, {name}",
                name.partition("-")[0],
                at["cpu"],
                at["added_us"],
                at["query_us"],
                _at(entry, 0)["added_us"],
            )
        )
    frameworks = {peer.subject: peer.framework for peer in peers.PEERS}
    for name, row in result["peers"]["rows"].items():
        found.append(
            Beside(
                f"{name} {row['version']}",
                frameworks[name],
                row["cpu"],
                row["added_us"],
                row["query_us"],
                row["request_us"],
            )
        )
    return found


def _peers(result: dict[str, Any]) -> Rows:
    rows = []
    for tool in beside(result):
        mine = _at(result["ours"][f"{tool.framework}-light"], AT)["added_us"].value
        rows.append(
            (
                tool.name,
                tool.cpu.show(2),
                f"{tool.added_us.times(1e-3).show(2)} ms",
                f"{tool.query_us.value:.1f}",
                f"{tool.request_us.value:.0f}",
                f"{tool.added_us.value / mine:.1f}",
            )
        )
    rows += [(name, reason, "", "", "", "") for name, reason in result["peers"]["missing"].items()]
    return Rows(
        "Beside its peers",
        "What each tool adds to a request of 100 queries. Ours by pairs in one process, as above. "
        "Of the peers all but debug-toolbar have hooks that do their work with and without their "
        "middleware, so each is compared with a process that has no tool. What a tool does later, "
        "in another thread, is not in it; what it does before the response is closed, is.",
        (
            "what",
            "CPU time by bare",
            "added",
            "us a query",
            "us a request",
            "by queryscope light",
        ),
        rows,
    )


_MET = {True: "yes", False: "no", None: "undecided"}


def show(result: dict[str, Any], aims: list[Target]) -> None:
    """Print the tables."""
    console = Console()
    for item in tables(result):
        table = Table(*item.head, title=item.title, caption=item.note, caption_justify="left")
        for row in item.rows:
            table.add_row(*row)
        console.print(table)
    table = Table("target", "aim", "measured", "met", title="Targets")
    for aim in aims:
        table.add_row(aim.what, aim.aim, aim.measured, _MET[aim.met])
    console.print(table)


def markdown(results: list[dict[str, Any]], chart: str) -> str:
    """Return the page.

    Args:
        results: What ``run.py`` measured; the first is shown in full.
        chart: The name of the picture beside the page.
    """
    first = results[0]
    machine = first["machine"]
    ran = "; ".join(_named(result) for result in results)
    lines = [
        "# Overhead",
        "",
        "Written by `make bench-overhead`; do not edit.",
        "",
        (
            f"Measured on {first['date']} on a {machine['system']} machine "
            f"({machine['architecture']}) with {machine['cores']} cores: {ran}. Each query reads "
            "one row by its primary key. Ratios travel between machines, microseconds do not; "
            "neither is a promise. The tables are of the first; the others follow."
        ),
        "",
        f"![What a request of 100 queries costs with each tool]({chart})",
        "",
        *_targets("Targets", targets(first)),
    ]
    for item in tables(first):
        lines += [f"## {item.title}", "", item.note, "", *_rows(item.head, item.rows), ""]
    for result in results[1:]:
        lines += [f"## {_named(result)}", ""]
        for item in (_requests(result), *([_peers(result)] if "peers" in result else [])):
            lines += [*_rows(item.head, item.rows), ""]
        lines += _targets("", targets(result))
    return "\n".join(lines).rstrip("\n") + "\n"


def _named(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return (
        f"Python {machine['python']}, Django {machine['django']}, SQLAlchemy "
        f"{machine['sqlalchemy']}, {result['database']}"
    )


def _targets(title: str, aims: list[Target]) -> list[str]:
    head = [f"## {title}", ""] if title else []
    if title:
        head += ["Undecided: the aim lies within the interval of what was measured.", ""]
    rows = [(aim.what, aim.aim, aim.measured, _MET[aim.met]) for aim in aims]
    return [*head, *_rows(("target", "aim", "measured", "met"), rows), ""]


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
    ]
