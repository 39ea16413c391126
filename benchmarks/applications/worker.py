"""Asks the pages of one application, with or without queryscope; writes JSON lines.

Runs in the application's environment: ``python -m benchmarks.applications.worker ORDER`` with the
order as JSON: ``site``, ``size``, ``watch`` (``seed``, ``bare``, ``light``, ``full``), ``folder``,
``output``. Of ``seed`` nothing is written: the database stays in the folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.applications.site import SUBJECTS, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.applications.site import Answer, Endpoint, Site, Subject

WARM_ASKS = 5
"""Requests that are timed, after the ones that are judged; the quickest counts."""
_RANDOM = re.compile(
    rb"[A-Za-z0-9_+/.=-]{24,}|\d{2}:\d{2}[\d:.]*|\d+\.\d{5,}|\d{9,}"
    rb"|\d+(?: |\xc2\xa0|\\u00a0)(?:second|minute|hour)s?(?:, )?"
)
"""Tokens, times and such: other ones in each answer."""


def main() -> None:
    """Seed, or ask and write."""
    order = json.loads(sys.argv[1])
    site = load(order["site"])
    subject = next(item for item in SUBJECTS if item.name == order["site"])
    folder = Path(order["folder"])
    if order["watch"] == "seed":
        site.start(folder, None)
        site.seed(order["size"])
        return
    full = order["watch"] == "full"
    settings = {
        "mode": "development" if full else "production",
        "recording": "full" if full else "light",
        "viewer": False,
        "console": False,
        "headers": False,
        "store": False,
        "user_packages": site.PACKAGES,
    }
    site.start(folder, None if order["watch"] == "bare" else settings)
    watched = (_counted if order["watch"] == "bare" else _recorded)(site, subject)
    with Path(order["output"]).open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(line) + "\n" for line in watched)


def _each(
    site: Site,
    subject: Subject,
    watch: Callable[[], Any],
    seen: Callable[[Any], dict[str, Any]],
    settle: Callable[[], object],
) -> Iterator[dict[str, Any]]:
    """Ask each page: once unseen, once with empty caches, once again; then by the clock."""
    ask = site.log_in()
    clock = time.process_time_ns if subject.in_threads else time.thread_time_ns
    for endpoint in site.endpoints():
        ask(endpoint.path)
        for state in ("cold", "warm"):
            if state == "cold":
                site.forget()
            with watch() as found:
                answer = ask(endpoint.path)
            yield {**_line(endpoint, state, answer), **seen(found)}
        yield {
            "endpoint": endpoint.name,
            "state": "time",
            "ns": _quickest(ask, endpoint.path, settle, clock),
        }


def _line(endpoint: Endpoint, state: str, answer: Answer) -> dict[str, Any]:
    body = _RANDOM.sub(b"", answer.body)
    return {
        "endpoint": endpoint.name,
        "path": endpoint.path,
        "state": state,
        "status": answer.status,
        "body": hashlib.sha256(body).hexdigest(),
        "size": len(answer.body),
    }


def _quickest(
    ask: Callable[[str], Answer],
    path: str,
    settle: Callable[[], object],
    clock: Callable[[], int],
) -> tuple[int, int]:
    """Return the processor's time for the answer, and for what goes on behind it in threads."""
    times, behind = [], []
    for _ in range(WARM_ASKS):
        begin, began = clock(), time.process_time_ns()
        ask(path)
        own = clock() - begin
        settle()
        times.append(own)
        behind.append(max(time.process_time_ns() - began - own, 0))
    return min(times), min(behind)


# -- bare: what the ORM itself counts --------------------------------------------------------------


def _counted(site: Site, subject: Subject) -> Iterator[dict[str, Any]]:
    watch = {"django": _django_count, "sqlalchemy": _sqlalchemy_count}[subject.orm]
    return _each(site, subject, watch, lambda sent: {"statements": len(sent)}, lambda: None)


@contextmanager
def _django_count() -> Iterator[list[str]]:
    from django.db import connections

    sent: list[str] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        sent.append(sql)
        return execute(sql, params, many, context)

    with connections["default"].execute_wrapper(wrapper):
        yield sent


@contextmanager
def _sqlalchemy_count() -> Iterator[list[str]]:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    sent: list[str] = []

    def before(_conn: Any, _cursor: Any, sql: str, *_: Any) -> None:
        sent.append(sql)

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", before)


# -- recorded --------------------------------------------------------------------------------------


def _recorded(site: Site, subject: Subject) -> Iterator[dict[str, Any]]:
    from queryscope import runtime
    from queryscope.trace import guard

    @contextmanager
    def watch() -> Iterator[list[Any]]:
        found: list[Any] = []
        current = runtime.get()
        current.flush()
        current.ring.clear()
        yield found
        if not runtime.get().flush(60):
            raise RuntimeError("the Trace of a request did not come within a minute")
        found.extend(runtime.get().ring.newest())

    yield from _each(site, subject, watch, _seen, lambda: runtime.get().flush(60))
    failures = [f"{item.place}: {item.error} ({item.count} x)" for item in guard.failures()]
    yield {"endpoint": "", "state": "end", "failures": failures, "lost": runtime.get().lost}


def _seen(found: list[Any]) -> dict[str, Any]:
    from queryscope.trace import codec

    if len(found) != 1:
        return {"broken": f"{len(found)} Traces of one request"}
    judged = found[0]
    return {
        "trace": base64.b64encode(codec.encode(judged.trace)).decode("ascii"),
        "findings": [
            {
                "code": item.code,
                "severity": item.severity,
                "confidence": item.confidence,
                "message": item.message,
                "queries": list(item.queries),
                "place": _place(item),
                "subject": item.subject,
                "mend": item.mend.write if item.mend is not None else "",
            }
            for item in judged.findings
        ],
    }


def _place(finding: Any) -> str:
    first = finding.origin.first
    if first is None and finding.mend is not None:
        first = finding.mend.at
    return "" if first is None else f"{first.file or first.template}:{first.line}"


if __name__ == "__main__":
    main()
