"""Every scenario that answers requests, by its name, and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from benchmarks.detection.scenario import all_scenarios

urlpatterns = [
    path("admin/", admin.site.urls),
    *(
        path(
            f"{scenario.name}/",
            scenario.served_by(scenario.run) if scenario.served_by else scenario.run,
            name=scenario.name,
        )
        for scenario in all_scenarios("django").values()
        if scenario.way != "call"
    ),
]
