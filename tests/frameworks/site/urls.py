"""The routes of the site."""

from __future__ import annotations

from django.urls import include, path

from tests.frameworks.site import administration, graph, pages, rest, waiting

urlpatterns = [
    path("api/", include(rest.router.urls)),
    path("jinja/", pages.jinja),
    path("jinja/repaired/", pages.jinja_repaired),
    path("list/", pages.BookList.as_view()),
    path("list/repaired/", pages.RepairedBookList.as_view()),
    path("titles/", pages.BareList.as_view()),
    path("command/", pages.command),
    path("graphql/", graph.view),
    path("graphql/async/", graph.async_view),
    path("async/gathered/", waiting.gathered),
    path("async/grouped/", waiting.grouped),
    path("async/at-once/", waiting.at_once),
    path("async/one-by-one/", waiting.one_by_one),
    path("async/bulk/", waiting.bulk),
    path("async/stream/", waiting.stream),
    path("async/stream/repaired/", waiting.stream_repaired),
    path("stream/", waiting.sync_stream),
    path("stream/repaired/", waiting.sync_stream_repaired),
    path("outliving/", waiting.outliving),
    *(path(f"{name}/", site.urls) for name, site in administration.SITES.items()),
]
