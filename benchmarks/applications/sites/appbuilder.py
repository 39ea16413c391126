"""Flask-AppBuilder's own pages about users, roles and permissions, on SQLAlchemy and Jinja2."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.applications.site import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PACKAGES = ("flask_appbuilder",)
PAGE = 100
"""Rows of a page: all that there are."""

_started: dict[str, Any] = {}


def start(folder: Path, settings: Mapping[str, Any] | None) -> None:
    """Make the application with its security views and APIs."""
    logging.disable(logging.WARNING)
    from flask import Flask
    from flask_appbuilder import AppBuilder
    from flask_appbuilder.models.sqla.base import SQLA

    if settings is not None:
        import queryscope

        queryscope.install()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="only for this run",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'appbuilder.sqlite3'}",
        FAB_ADD_SECURITY_API=True,
        FAB_API_MAX_PAGE_SIZE=PAGE,
        RATELIMIT_ENABLED=False,
        WTF_CSRF_ENABLED=False,
    )
    db = SQLA(app)
    with app.app_context():
        builder = AppBuilder(app, db.session)
    if settings is not None:
        wrapped: Any = queryscope.wsgi.Middleware(app.wsgi_app, settings=settings)
        app.wsgi_app = wrapped
    _started.update(app=app, db=db, builder=builder)


def seed(size: int) -> None:
    """Make users, roles, groups and permissions through the security manager."""
    manager = _started["builder"].sm
    with _started["app"].app_context():
        admin = manager.find_role("Admin")
        manager.add_user("admin", "Ad", "Min", "admin@example.com", admin, "secret")
        roles = []
        for number in range(size):
            permissions = [
                manager.add_permission_view_menu(f"can_{verb}", f"Page {number:02}")
                for verb in ("read", "write", "delete")[: 1 + number % 3]
            ]
            roles.append(manager.add_role(f"Role {number:02}", permissions))
        groups = [
            manager.add_group(f"group{n:02}", f"Group {n:02}", "", roles=[roles[n]])
            for n in range(size)
        ]
        for number in range(size):
            manager.add_user(
                f"user{number:02}", "User", f"{number:02}", f"user{number:02}@example.com",
                [roles[number]], "secret", groups=[groups[number]],
            )  # fmt: skip


def log_in() -> Callable[[str], Answer]:
    """Ask as the administrator."""
    client = _started["app"].test_client()
    client.post("/login/", data={"username": "admin", "password": "secret"})

    def ask(path: str) -> Answer:
        response = client.get(path)
        body = response.get_data()
        response.close()
        return Answer(response.status_code, body)

    return ask


def endpoints() -> Sequence[Endpoint]:
    """Return the lists, a few forms, and the APIs."""
    from flask_appbuilder.security.sqla.models import Role, User

    session = _started["db"].session
    with _started["app"].app_context():
        user = session.query(User.id).filter_by(username="user00").scalar()
        role = session.query(Role.id).filter_by(name="Role 00").scalar()
    rison = f"?q=(page:0,page_size:{PAGE})"
    return (
        Endpoint("index", "/"),
        Endpoint("users", f"/users/list/?psize_UserDBModelView={PAGE}"),
        Endpoint("users by name", f"/users/list/?{_by('UserDBModelView', 'username')}"),
        Endpoint("user", f"/users/show/{user}"),
        Endpoint("user, form", f"/users/edit/{user}"),
        Endpoint("user, new", "/users/add"),
        Endpoint("roles", f"/roles/list/?psize_RoleModelView={PAGE}"),
        Endpoint("role", f"/roles/show/{role}"),
        Endpoint("role, form", f"/roles/edit/{role}"),
        Endpoint("groups", f"/groups/list/?psize_GroupModelView={PAGE}"),
        Endpoint("permissions", f"/permissions/list/?psize_PermissionModelView={PAGE}"),
        Endpoint(
            "permissions on views",
            f"/permissionviews/list/?psize_PermissionViewModelView={PAGE}",
        ),
        Endpoint("views", f"/viewmenus/list/?psize_ViewMenuModelView={PAGE}"),
        Endpoint("user's statistics", "/userstatschartview/chart/"),
        Endpoint("API, users", f"/api/v1/security/users/{rison}"),
        Endpoint("API, user", f"/api/v1/security/users/{user}"),
        Endpoint("API, users, info", "/api/v1/security/users/_info"),
        Endpoint("API, roles", f"/api/v1/security/roles/{rison}"),
        Endpoint("API, role's permissions", f"/api/v1/security/roles/{role}/permissions/"),
        Endpoint("API, groups", f"/api/v1/security/groups/{rison}"),
        Endpoint("API, permissions", f"/api/v1/security/permissions/{rison}"),
        Endpoint("API, resources", f"/api/v1/security/resources/{rison}"),
        Endpoint("API, permissions on views", f"/api/v1/security/permissions-resources/{rison}"),
        Endpoint("API, menu", "/api/v1/menu/"),
    )  # fmt: skip


def _by(view: str, column: str) -> str:
    return f"_oc_{view}={column}&_od_{view}=asc"


def forget() -> None:
    """Nothing is cached beyond a request."""
