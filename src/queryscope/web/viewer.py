"""The viewer: the list of the last Traces and the report of one, for loopback clients only."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.registry import failed_detectors
from queryscope.errors import QueryscopeError
from queryscope.report.html import render, render_list, render_plan
from queryscope.web.plans import page_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queryscope.runtime import Runtime

PLAN = "plan"
"""What stands in a path before the Trace and the number of a statement whose plan is wanted."""
LISTED = 50
"""Traces in the list."""

_LOCAL_NAMES = {"localhost", "testserver", "ip6-localhost"}
_HOST = re.compile(r"^(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:]*))(?::\d+)?$")
_FORWARDED = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


class Answer(NamedTuple):
    """What the viewer answers: status code, content type and body."""

    status: int
    content_type: str
    body: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The response headers: nobody keeps the page, nobody guesses another type."""
        return [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]


def answer(runtime: Runtime, environ: Mapping[str, object]) -> Answer | None:
    """Return the viewer's answer to a request, or None when the request is not for it.

    Args:
        runtime: The runtime in force.
        environ: The WSGI environment, or a mapping with PATH_INFO, REMOTE_ADDR and HTTP_HOST.
    """
    path = str(environ.get("PATH_INFO") or "")
    prefix = runtime.settings.viewer_path
    if not runtime.viewer or not path.startswith(prefix[:-1]):
        return None
    if path != prefix[:-1] and not path.startswith(prefix):
        return None
    if not is_local(environ):
        return Answer(
            403, "text/plain; charset=utf-8", b"The viewer answers loopback clients only.\n"
        )
    runtime.flush(2.0)
    wanted, *asked = path[len(prefix) :].strip("/").split("/")
    if not wanted:
        return _page(200, render_list(runtime.ring.newest(LISTED), base_href=prefix))
    judged = runtime.ring.find(wanted)
    if judged is None and runtime.store is not None:
        try:
            judged = runtime.store.get(wanted)
        except QueryscopeError:
            judged = None
    if judged is None:
        text = f"There is no Trace {wanted[:40]!r} any more. The list: {prefix}\n"
        return Answer(404, "text/plain; charset=utf-8", text.encode("utf-8", "replace"))
    href = f"{prefix}{judged.trace.id}"
    if asked:
        page = None
        if runtime.mode == "development" and asked[0] == PLAN:
            page = page_of(judged.trace, asked[1:])
        if page is None:
            text = f"There is no such statement. The report: {href}\n"
            return Answer(404, "text/plain; charset=utf-8", text.encode("utf-8", "replace"))
        return _page(200, render_plan(page, back_href=href))
    return _page(
        200,
        render(
            judged.trace,
            judged.findings,
            failed_detectors=failed_detectors(),
            list_href=prefix,
            plan_href=f"{href}/{PLAN}" if runtime.mode == "development" else "",
        ),
    )


def _page(status: int, text: str) -> Answer:
    return Answer(status, "text/html; charset=utf-8", text.encode("utf-8", "replace"))


def is_local(environ: Mapping[str, object]) -> bool:
    """Tell whether a request came from this machine, asked for by a name of this machine.

    A proxy on the same machine makes every client look local, and a foreign page may point a
    name of its own at 127.0.0.1: so no forwarding header, and a local Host.
    """
    if any(environ.get(name) for name in _FORWARDED):
        return False
    match = _HOST.match(str(environ.get("HTTP_HOST") or "localhost"))
    name = (match["v6"] or match["name"] or "") if match else ""
    local_name = name in _LOCAL_NAMES or name.endswith(".localhost") or _is_loopback(name)
    return local_name and _is_loopback(str(environ.get("REMOTE_ADDR") or ""))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
