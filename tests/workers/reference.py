"""Asks an application of ``sites`` by its framework's own test client, and prints its Traces.

Called with the application's name and paths, in the environment of a server. Prints a JSON list,
an item for each path: ``{"statements": [...], "sessions": 1, "findings": [["QS101", 20], ...]}``.
"""

from __future__ import annotations

import json
import sys

TOKEN = "Token token-1"
TIMED = frozenset({"QS502", "QS504", "QS506", "QS602"})
"""Findings about time alone: on a busy machine there are more of them."""


def described(judged):
    """Return what must be equal, however the request came."""
    trace, findings = judged
    return {
        "name": trace.name,
        "status": trace.attributes["status"],
        "statements": sorted(query.statement for query in trace.queries),
        "sessions": len(trace.sessions),
        "findings": sorted([f.code, f.count] for f in findings if f.code not in TIMED),
        "failures": [list(failure) for failure in trace.failures],
        "orphans": trace.orphans,
    }


def django_client():
    """Return a function that asks the Django example and gives the Trace's id."""
    import django

    django.setup()
    from django.test import Client

    client = Client(raise_request_exception=False, headers={"Authorization": TOKEN})

    def ask(path):
        response = client.get(path)
        b"".join(response)  # a stream is sent only to who reads it
        response.close()
        return response.headers["X-Queryscope-Trace"]

    return ask


def flask_client():
    """Return a function that asks the Flask example and gives the Trace's id."""
    from booking_sqlalchemy_site import wsgi_app

    client = wsgi_app.test_client()

    def ask(path):
        with client.get(path, headers={"Authorization": TOKEN}) as response:
            response.get_data()
            return response.headers["X-Queryscope-Trace"]

    return ask


def main():
    """Ask for each path in its order."""
    from queryscope import runtime

    ask = {"booking_django": django_client, "booking_sqlalchemy": flask_client}[sys.argv[1]]()
    ids = [ask(path) for path in sys.argv[2:]]
    found = runtime.get()
    assert found.flush()
    print(json.dumps([described(found.store.get(key)) for key in ids]))  # noqa: T201 - what the parent reads


if __name__ == "__main__":
    main()
