"""The page of the load run, written from its results."""

from __future__ import annotations

from typing import Any

BAD = ("different", "broken", "mixed", "lost", "strange", "unflushed", "tracebacks")
"""What must be 0."""
FULL_S = 60
"""Seconds for which clients go on asking in the long pass."""
GROWTH_MIB = 20.0
"""Memory that a recorded server may grow by more than a bare one."""

_HEAD = """\
# Under load

Written by `make bench-load`; do not edit.

Each row is one endpoint of one of the example applications under one kind of worker. A bare and
a recorded server run side by side, and {clients} clients ask both for the same at the same
time, again and again. Every answer of one is compared with that of the other: status, body, and
each header by name, value and place (but `Date`, `Server-Timing` and `X-Queryscope-Trace`).
Before, a single client asked for the same, one request at a time: every Trace recorded under
load is compared with the one recorded then.

{verdict}

## Circumstances

Measured on {day}, at commit {commit}, with Python {python} and {versions}, on a machine with
{cores} cores that did other work too, at the lowest priority: how many requests there were in a
time says nothing about speed. The databases are SQLite files with {locations} locations. A
round trip of {rtt_ms} ms is simulated for every statement; in it one request gives way to
another. queryscope runs with its defaults for production, but for `store` and `headers`, which
are on, and `store_max_mib`, which is raised to {store_max_mib:,} so that retention deletes
nothing that is to be counted; the queue, the ring and all bounds are the defaults. The pool of
the SQLAlchemy application has {pool} connections before the legacy endpoints, which is what
QS505 asks for with {clients} requests that hold three at a time, and the application's default
of 5 before the repaired ones; waiting for it ends after 180 s, not 30.
gunicorn's sync workers are two processes that write to one
store; the others are one process.

## What is compared

- **different**: requests that the two servers answered differently; **broken**: requests that
  one of them did not answer.
- **mixed**: Traces that are not those of their request. Each request carries a `traceparent` of
  its own, which its Trace must have; besides name, path and status, its statements must be
  those of the same request served alone: text, digest of the parameters, rows, error and number
  of each, and so must the numbers of sessions, checkouts and transactions. Orphans, failures of
  hooks, dropped facts and nested Traces count as mixed, too. A repaired application reads its
  settings again every five minutes; a Trace with those statements besides is right, and counted
  as a **refill**.
- **stored, dropped, lost**: each answer names its Trace in `X-Queryscope-Trace`. It is in the
  store, or the server counted it as dropped because its queue was full; what is neither is
  lost. Requests served alone count here as well. A Trace in the store that no answer named is
  **strange**.

Clients began no request after the planned seconds; the seconds beside them are those until the last
answer. A request that is slow on a busy machine makes them many more.

The requests to the board are all alike; what tells them apart is their `traceparent` alone.
"""
_COLUMNS = (
    "application", "endpoint", "planned", "seconds", "requests", "different", "broken", "mixed",
    "refills", "stored", "dropped", "lost", "strange",
)  # fmt: skip


def short(found: Any) -> str:
    """Return one line about a result, for the terminal."""
    if isinstance(found, str):
        return f"ERROR {found[-600:]}"
    if "readings_kib" in found:
        return (
            f"{found['requests']} requests in {found['seconds']} s, grown by {found['bare_mib']} "
            f"MiB bare and {found['recorded_mib']} MiB recorded, {wrong(found)}"
        )
    return (
        f"{found['seconds']} s, {found['requests']} requests, {found['stored']} stored, "
        f"{found['dropped']} dropped, {found['refills']} refills, {wrong(found)}"
    )


def wrong(found: dict[str, Any]) -> str:
    """Return what must be 0 and is not."""
    bad = [f"{found[name]} {name}" for name in BAD if found.get(name)]
    if found.get("failures"):
        bad.append(f"failures {found['failures'][:3]}")
    texts = [*found.get("problems", [])[:2], *found.get("texts", [])[:2]]
    return f"WRONG: {', '.join(bad)}: {texts}" if bad else "all well"


def markdown(data: dict[str, Any]) -> str:
    """Return the whole page."""
    about = data["about"]
    text = _HEAD.format(
        **about | {"versions": _joined([f"{n} {v}" for n, v in about["versions"].items()])},
        verdict=_verdict(data),
        store_max_mib=about["settings"]["store_max_mib"],
    )
    workers: dict[str, list[dict[str, Any]]] = {}
    for name in about["all"]:
        if name in data["cells"]:
            found = data["cells"][name]
            workers.setdefault(found["worker"], []).append(found)
    for worker, rows in workers.items():
        text += f"\n## {worker}\n\n{_row(_COLUMNS)}{_row(['---'] * len(_COLUMNS))}"
        for found in rows:
            text += _row([_cell(found[name]) for name in _COLUMNS])
    text += _memory(data["memory"])
    text += _not_run(data)
    return text


def _verdict(data: dict[str, Any]) -> str:
    cells = list(data["cells"].values())
    if not cells:
        return "Nothing was measured yet."
    total = {name: sum(found[name] for found in cells) for name in (*BAD, "requests", "dropped")}
    stored = sum(found["stored"] for found in cells)
    least = min(found["planned"] for found in cells)
    full = sum(found["planned"] >= FULL_S for found in cells)
    long = "each for a minute"
    if full < len(cells):
        long = f"{full} of them for a minute and the others for {least:g} seconds or more"
    text = (
        f"Of {total['requests']:,} requests under load, in {len(cells)} of "
        f"{len(data['about']['all'])} combinations, {long}, {total['different']:,} were "
        f"answered differently and {total['broken']:,} not at all; {total['mixed']:,} Traces "
        f"were mixed. {stored:,} Traces were stored, those of requests served alone included, "
        f"{total['dropped']:,} counted as dropped, {total['lost']:,} lost, "
        f"{total['strange']:,} strange."
    )
    failures = sum(len(found["failures"]) for found in cells)
    return f"{text} Failures of hooks: {failures}."


def _memory(memory: dict[str, Any]) -> str:
    text = (
        "\n## Memory\n\nResident memory (RSS) of the worker, read after a warm-up and again after "
        "all requests, 19 in 20 of them to `/health` and one to the repaired discovery, from 20 "
        f"clients. A recorded server may grow by at most {GROWTH_MIB:g} MiB more than the bare one "
        "beside it. The last columns are what the answers' headers and the store say.\n\n"
    )
    text += "Worker kinds without a row were not measured.\n\n"
    if not memory:
        return text
    columns = ("application", "worker", "requests", "bare from", "to", "recorded from", "to",
               "grown more, MiB", "different", "stored", "dropped", "lost")  # fmt: skip
    text += _row(columns) + _row(["---"] * len(columns))
    for found in memory.values():
        first, last = found["readings_kib"][0], found["readings_kib"][-1]
        values = [f"{kib / 1024:.1f}" for kib in (first[0], last[0], first[1], last[1])]
        more = found["recorded_mib"] - found["bare_mib"]
        text += _row([
            found["application"], found["worker"], f"{found['requests']:,}", *values,
            f"{more:.1f}", *(_cell(found[n]) for n in ("different", "stored", "dropped", "lost")),
        ])  # fmt: skip
    return text


def _not_run(data: dict[str, Any]) -> str:
    missing: dict[str, list[str]] = {}
    for name in data["about"]["all"]:
        if name not in data["cells"]:
            application, worker, endpoint = name.split(" · ")
            missing.setdefault(worker, []).append(f"{endpoint} of {application}")
    text = "\n## Not measured\n\n"
    if missing:
        text += "Not run, or not to their end:\n\n"
        text += "".join(f"- {worker}: {_joined(names)}\n" for worker, names in missing.items())
        text += "\n"
    return text + (
        "`runserver`, daphne, hypercorn and other servers under load; databases other than SQLite; "
        "more than two processes. Flask runs under uvicorn through asgiref's `WsgiToAsgi`, with a "
        "thread and a context for each request: without the latter bare servers, too, answer 500 "
        "to a request that comes early on a kept connection.\n"
    )


def _joined(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(values: Any) -> str:
    return f"| {' | '.join(values)} |\n"
