"""The views that run the scenarios."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.contract_suite.on_django.project import aclose, close
from tests.contract_suite.on_django.scenarios import SCENARIOS


def sync_view(request, name):
    """Run a scenario in a sync view."""
    close()
    return _response(SCENARIOS[name].run())


async def async_view(request, name):
    """Run an async scenario in an async view."""
    await aclose()
    return _response(await SCENARIOS[name].run())


def _response(result):
    return HttpResponse("ok") if result is None else StreamingHttpResponse(result)


urlpatterns = [path("sync/<name>", sync_view), path("async/<name>", async_view)]
