"""Label Studio: annotation of data, on Django with a REST framework."""

from __future__ import annotations

import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.applications.site import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PACKAGES = (
    "label_studio", "core", "data_export", "data_import", "data_manager", "fsm", "io_storages",
    "jwt_auth", "labels_manager", "ml", "ml_model_providers", "ml_models", "organizations",
    "projects", "session_policy", "tasks", "users", "webhooks",
)  # fmt: skip
CONFIG = """\
<View>
  <Text name="text" value="$text"/>
  <Choices name="kind" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
</View>
"""


def start(folder: Path, settings: Mapping[str, Any] | None) -> None:
    """Run it on its own settings, with a database file and without calling home."""
    os.environ.update(
        BASE_DATA_DIR=str(folder), DJANGO_DB="sqlite", COLLECT_ANALYTICS="false", SENTRY_DSN="",
        FRONTEND_SENTRY_DSN="", LOG_LEVEL="ERROR", LATEST_VERSION_CHECK="false",
        USE_ENFORCE_CSRF_CHECKS="false", DJANGO_SETTINGS_MODULE="core.settings.label_studio",
    )  # fmt: skip
    spec = find_spec("label_studio")
    for place in (spec and spec.submodule_search_locations) or ():
        sys.path.append(place)
    import django
    from django.conf import settings as django_settings

    django_settings.ALLOWED_HOSTS = ["testserver"]
    if settings is not None:
        middleware = ["queryscope.django.Middleware", *django_settings.MIDDLEWARE]
        django_settings.MIDDLEWARE = middleware
        django_settings.QUERYSCOPE = dict(settings)
    django.setup()
    logging.disable(logging.ERROR)


def seed(size: int) -> None:
    """Make projects, tasks and annotations through the application's own API."""
    from django.core.management import call_command
    from organizations.models import Organization
    from users.models import User
    from webhooks.models import Webhook

    call_command("migrate", verbosity=0)
    users = [
        User.objects.create_user(f"user{number:02}@example.com", "only for this run")
        for number in range(size)
    ]
    organization = Organization.create_organization(created_by=users[0], title="All of us")
    for user in users:
        organization.add_user(user)
        user.active_organization = organization
        user.save()
    clients = [_logged_in(user.email) for user in users]

    def post(client: Any, path: str, body: Any) -> Any:
        response = client.post(path, body, content_type="application/json")
        if response.status_code >= 300:  # noqa: PLR2004 - HTTP's
            raise RuntimeError(f"{path}: {response.status_code} {response.content[:300]!r}")
        return response.json()

    first = clients[0]
    projects = [
        post(first, "/api/projects/", {"title": f"Project {n:02}", "label_config": CONFIG})["id"]
        for n in range(size)
    ]
    for number, project in enumerate(projects):
        tasks = [{"data": {"text": f"Text {n}"}} for n in range(1 if number else size)]
        post(first, f"/api/projects/{project}/import", tasks)
        # By the API it would have to be a host that answers.
        Webhook.objects.create(
            organization=organization, project_id=project, is_active=False,
            url=f"http://example.com/{number}",
        )  # fmt: skip
        post(first, "/api/dm/views/", {"project": projects[0], "data": {"title": f"Tab {number}"}})
    from tasks.models import Task

    ids = list(Task.objects.filter(project=projects[0]).order_by("pk").values_list("pk", flat=True))
    kind = {"from_name": "kind", "to_name": "text", "type": "choices"}
    result = [{**kind, "value": {"choices": ["good"]}}]
    for number, task in enumerate(ids):
        post(clients[number], f"/api/tasks/{task}/annotations/", {"result": result})
        post(first, "/api/predictions/", {"task": task, "result": result, "model_version": "one"})
        if number:
            post(clients[number], f"/api/tasks/{ids[0]}/annotations/", {"result": result})
            post(clients[number], f"/api/tasks/{ids[0]}/drafts", {"result": result})


def _logged_in(email: str) -> Any:
    from django.test import Client

    client = Client()
    client.post("/user/login/", {"email": email, "password": "only for this run"})
    return client


def log_in() -> Callable[[str], Answer]:
    """Ask as who owns the organization."""
    client = _logged_in("user00@example.com")

    def ask(path: str) -> Answer:
        response: Any = client.get(path)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        return Answer(response.status_code, body)

    return ask


def endpoints() -> Sequence[Endpoint]:
    """Return lists and details of the API, and one of the pages around it, which list nothing."""
    from data_manager.models import View
    from projects.models import Project
    from tasks.models import Task

    project = Project.objects.order_by("pk")[0].pk
    task = Task.objects.filter(project=project).order_by("pk")[0].pk
    tab = View.objects.filter(project=project).order_by("pk")[0].pk
    return (
        Endpoint("page", "/projects/"),
        Endpoint("projects", "/api/projects/?page_size=100"),
        Endpoint("projects, counts", "/api/projects/counts/?page_size=100"),
        Endpoint("project", f"/api/projects/{project}/"),
        Endpoint("project, summary", f"/api/projects/{project}/summary/"),
        Endpoint("project, tasks", f"/api/projects/{project}/tasks/?page_size=100"),
        Endpoint("project, annotators", f"/api/projects/{project}/annotators/"),
        Endpoint("project, export", f"/api/projects/{project}/export?exportType=JSON"),
        Endpoint("project, history", f"/api/projects/{project}/label-stream-history/"),
        Endpoint("tasks", f"/api/tasks/?project={project}&page_size=100"),
        Endpoint("tasks, all fields", f"/api/tasks/?project={project}&page_size=100&fields=all"),
        Endpoint("tasks of a tab", f"/api/tasks/?view={tab}&page_size=100&fields=all"),
        Endpoint("task", f"/api/tasks/{task}/"),
        Endpoint("task, annotations", f"/api/tasks/{task}/annotations/"),
        Endpoint("task, drafts", f"/api/tasks/{task}/drafts"),
        Endpoint("predictions", f"/api/predictions/?task__project={project}"),
        Endpoint("tabs", f"/api/dm/views/?project={project}"),
        Endpoint("tab", f"/api/dm/views/{tab}/"),
        Endpoint("columns", f"/api/dm/columns/?project={project}"),
        Endpoint("data manager's project", f"/api/dm/project/?project={project}"),
        Endpoint("members", "/api/organizations/1/memberships?page_size=100"),
        Endpoint("users", "/api/users/"),
        Endpoint("webhooks", "/api/webhooks/"),
        Endpoint("storages", f"/api/storages/?project={project}"),
    )


def forget() -> None:
    """Empty Django's cache."""
    from django.core.cache import cache

    cache.clear()
