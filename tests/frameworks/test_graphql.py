"""GraphQL with strawberry, on Django and on SQLAlchemy with FastAPI: resolvers and loaders."""

from __future__ import annotations

from tests.django.conftest import make_books
from tests.frameworks.conftest import SITE_FOLDER, stands

FILE = SITE_FOLDER / "graph.py"


def ask(site, query, path="/graphql/"):
    """Send a query and return what was seen; it must have been answered without errors."""
    seen = site.post(path, {"query": query}, content_type="application/json")
    assert "errors" not in seen.answer.json(), seen.answer.json()
    return seen


def test_resolver_is_the_origin(site):
    """A resolver that reads a relation is found at its line."""
    seen = ask(site, "{ books { publisherName } }")
    ((code, write),) = seen.wanted
    assert (code, write) == ("QS101", '.select_related("publisher")')
    finding = seen.wanted[code, write]
    assert finding.count == 6
    assert stands(finding.origin.first, FILE, "# resolver")
    assert seen.trace.name == "POST /graphql/"


def test_field_without_a_resolver_is_found(site):
    """Where the library reads the attribute there is no line; what loaded the rows is to mend."""
    seen = ask(site, "{ books { publisher { name } } }")
    ((code, write),) = seen.wanted
    assert (code, write) == ("QS101", '.select_related("publisher")')


def test_joined_rows_are_silent(site):
    """With the relation in the entry point's queryset nothing is said."""
    seen = ask(site, "{ joinedBooks { publisherName publisher { name } } }")
    assert seen.trace.statements == 1
    assert seen.repeated == []


# -- asynchronous ------------------------------------------------------------------------------


def ask_async(site, query):
    """Send a query to the async view and return what was seen; no field may have failed."""
    path = "/graphql/async/"
    seen = site.post_async(path, {"query": query}, content_type="application/json")
    assert "errors" not in seen.answer.json(), seen.answer.json()
    return seen


def test_async_resolver_is_the_origin(open_site):
    """An async resolver that asks for each row is found at the line that awaits."""
    make_books()
    ((key, finding),) = ask_async(open_site, "{ asyncBooks { isbn } }").wanted.items()
    assert (key[0], finding.count) == ("QS102", 12)
    assert stands(finding.origin.first, FILE, "# own row")


def test_resolver_that_asks_the_same_again_is_found(open_site):
    """Six books of three publishers: each publisher is asked for twice, at the resolver's line."""
    ((key, finding),) = ask_async(open_site, "{ asyncBooks { asyncName } }").wanted.items()
    assert (key[0], finding.count) == ("QS201", 6)
    assert stands(finding.origin.first, FILE, "# async resolver")


def test_loader_is_silent(open_site):
    """A DataLoader asks once for all keys, within the request, though in a task of its own."""
    seen = ask_async(open_site, "{ asyncBooks { loadedName } }")
    assert seen.trace.statements == 2
    assert stands(seen.queries[-1].origin.first, FILE, "# loader")
    assert seen.repeated == []
