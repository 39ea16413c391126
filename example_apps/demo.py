"""The demonstration: the legacy and the repaired endpoints of both examples, side by side.

``make demo`` runs it. Each application runs in a process of its own, on a fresh SQLite file, with
a simulated network round trip for each statement; what is printed was recorded by queryscope. At
the end one patch of a legacy endpoint is proved, and one that breaks for a capacity of 0 refused.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
WORK = ROOT.parent / ".queryscope" / "demo"
ROUND_TRIP_MS = 2.0
"""Simulated network round trip: a database in the same data centre, not on the same machine."""
REPEATS = 3
"""Requests to each endpoint; the fastest is shown, the first one fills caches."""
LOOPS = {"QS101", "QS102", "QS103", "QS104"}

ENDPOINTS = [
    ("detail", "/items/7", "/v2/items/7"),
    ("discovery", "/discovery?city=&page_size=20", "/v2/discovery?city=&page_size=20"),
    ("admin board", "/admin-board/", "/v2/admin-board/"),
]
APPLICATIONS = {
    "booking_django": [[sys.executable, "manage.py", "seed"]],
    "booking_sqlalchemy": [[sys.executable, "-m", "booking_flask.seed"]],
}
PATCHED = "booking_sqlalchemy"
PATCHES = {
    "detail": ("/items/7 as caller", "proved"),
    "wrong_discovery_capacity_zero": ("/discovery?min_capacity=40&page_size=5", "refused"),
}
"""Patches to what is asked of them and what has to be said of them."""
VARIANTS = 8
"""Edge values of each request; ``queryscope verify`` takes many more by default."""
SHOWN_DIFFERENCES = 3


# -- one application, in its own process -------------------------------------------------------


def call(application, target):
    """Send one GET to a WSGI application as a server would, and return (status, headers, body)."""
    from wsgiref.util import setup_testing_defaults

    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": "Token token-1",
    }
    setup_testing_defaults(environ)
    answer = {}

    def start_response(status, headers, *_):
        answer["status"] = status
        answer["headers"] = dict(headers)

    body = application(environ, start_response)
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return answer["status"], answer["headers"], content


def measure(application, target, report):
    """Call an endpoint a few times and return the figures of its fastest Trace."""
    from queryscope import runtime
    from queryscope.report import html
    from queryscope.trace import pool

    best = None
    body = b""
    for _ in range(REPEATS):
        status, headers, body = call(application, target)
        if not status.startswith("200"):
            raise SystemExit(f"{target} answered {status}: {body[:300]!r}")
        found = runtime.get()
        found.flush()
        judged = found.ring.find(headers["X-Queryscope-Trace"])
        if best is None or judged.trace.duration_ns < best.trace.duration_ns:
            best = judged
    trace, findings = best
    report.write_text(html.render(trace, findings), encoding="utf-8")
    pools = pool.pools(trace)
    admitted = pool.admitted_per_second(pools[0], trace) if pools else None
    return {
        "milliseconds": trace.duration_ns / 1e6,
        "statements": trace.statements,
        "sessions": len(trace.sessions),
        "held": pool.most_held(trace),
        "deadlock_from": pool.deadlock_from(pools[0].capacity, len(pools[0].most))
        if pools
        else None,
        "loops": sum(finding.code in LOOPS for finding in findings),
        "lazy": sum(q.load is not None and not q.load.batched for q in trace.queries),
        "admitted": admitted,
        "findings": [[f.code, f.severity, f.message] for f in findings],
        "report": str(report),
        "body": body.decode(),
    }


def child(name):
    """Measure one application and print its figures as JSON."""
    sys.path.insert(0, str(ROOT / name))
    from wsgi import app

    results = []
    for title, legacy, repaired in ENDPOINTS:
        pair = {}
        for kind, target in (("legacy", legacy), ("repaired", repaired)):
            report = WORK / f"{name}-{title.replace(' ', '-')}-{kind}.html"
            pair[kind] = measure(app, target, report)
        pair["equal"] = pair["legacy"].pop("body") == pair["repaired"].pop("body")
        results.append({"title": title, **pair})
    print(json.dumps(results))


# -- the parent --------------------------------------------------------------------------------


def run(name):
    """Seed and measure one application in processes of their own."""
    folder = WORK / name
    folder.mkdir(parents=True)
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder / 'booking.sqlite3'}",
        "BOOKING_LOG": str(folder / "booking.log"),
        "BOOKING_RTT_MS": str(ROUND_TRIP_MS),
        "BOOKING_QUERYSCOPE": "1",
        "QUERYSCOPE_RUN": "1",
    }
    for command in APPLICATIONS[name]:
        execute(command, {**environment, "BOOKING_RTT_MS": "0"}, ROOT / name)
    command = [sys.executable, str(Path(__file__).resolve()), "--child", name]
    return json.loads(execute(command, environment, folder))


def execute(command, environment, folder):
    """Run a command to its end and return what it printed; say what it said if it failed."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def table(name, results):
    """Return a rich table of one application's figures."""
    from rich.table import Table

    shown = Table(
        title=f"{name}, {ROUND_TRIP_MS:g} ms round trip a statement", title_justify="left"
    )
    for column in ("endpoint", "time", "statements", "sessions", "held at once", "N+1 loops",
                   "lazy loads", "pool admits", "answers"):  # fmt: skip
        shown.add_column(column, justify="left" if column in ("endpoint", "answers") else "right")
    for result in results:
        for kind in ("legacy", "repaired"):
            figures = result[kind]
            admitted = figures["admitted"]
            bound = figures["deadlock_from"]
            shown.add_row(
                f"{result['title']}, {kind}",
                f"{figures['milliseconds']:,.0f} ms",
                str(figures["statements"]),
                str(figures["sessions"]),
                str(figures["held"]) if admitted else "no pool",
                str(figures["loops"]),
                str(figures["lazy"]),
                (f"{admitted:,.0f} / s" if admitted else "-")
                + (f", deadlock from {bound}" if bound else ""),
                "equal" if result["equal"] else "DIFFERENT",
                end_section=kind == "repaired",
            )
    return shown


def prove(console):
    """Have patches judged, print why, and return those that were judged otherwise than they are."""
    console.print("Patches of the legacy endpoints, judged on copies of the code and the data:\n")
    surprising = []
    for patch, (request, expected) in PATCHES.items():
        started = time.perf_counter()
        found = verified(patch, request)
        console.print(
            f"$ queryscope verify --patch patches/{patch}.diff --request {request!r}",
            markup=False, highlight=False,
        )  # fmt: skip
        example = found["counterexample"]
        if example:
            console.print(f"  {example['request']['target']}, on the data {example['clone']!r}:")
            for where in example["differences"][:SHOWN_DIFFERENCES]:
                line = f"    {where['path']}: {where['expected']}, patched: {where['got']}"
                console.print(line, markup=False, highlight=False)
        took = time.perf_counter() - started
        console.print(f"  {found['outcome']}: {found['reason']}", markup=False, highlight=False)
        console.print(f"  {took:.0f} s\n", highlight=False)
        if found["outcome"] != expected:
            surprising.append(f"{patch} was {found['outcome']}")
    return surprising


def verified(patch, request):
    """Return what ``queryscope verify`` reports of a patch."""
    report = WORK / f"{patch}.json"
    command = [
        sys.executable, "-m", "queryscope", "--store", str(WORK / "verify" / "traces.db"),
        "verify", "--project", str(ROOT / PATCHED),
        "--patch", str(ROOT / PATCHED / "patches" / f"{patch}.diff"), "--request", request,
        "--variants", str(VARIANTS), "--format", "json", "--output", str(report),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if not report.exists():
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return json.loads(report.read_text(encoding="utf-8"))


def parent():
    """Run both applications, print the tables, and say where the reports are."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 140)
    started = time.perf_counter()
    shutil.rmtree(WORK, ignore_errors=True)
    differing = []
    for name in APPLICATIONS:
        results = run(name)
        console.print(table(name, results))
        for result in results:
            if not result["equal"]:
                differing.append(f"{name}: {result['title']}")
            console.print(f"  what queryscope says of the legacy {result['title']}:")
            for code, severity, message in result["legacy"]["findings"]:
                console.print(f"    {code} {severity}: {message}", markup=False, highlight=False)
            warnings = [f for f in result["repaired"]["findings"] if f[1] != "info"]
            console.print(f"  of the repaired one: {len(warnings)} warnings")
        console.print()
    console.print("The reports, one HTML file a request, to open in a browser:")
    for report in sorted(WORK.glob("*.html")):
        console.print(f"  {report.relative_to(ROOT.parent)}", highlight=False)
    console.print()
    surprising = prove(console)
    console.print(f"{time.perf_counter() - started:.0f} s in all.", highlight=False)
    if differing:
        raise SystemExit(f"Legacy and repaired answers differ: {', '.join(differing)}")
    if surprising:
        raise SystemExit(f"Judged otherwise than they are: {', '.join(surprising)}")


def main():
    """Run as the parent, or as the process of one application."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", choices=sorted(APPLICATIONS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
    else:
        parent()


if __name__ == "__main__":
    main()
