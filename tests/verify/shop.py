"""A small shop as a project of its own: one WSGI file on SQLAlchemy, with an N+1 to mend."""

from __future__ import annotations

import difflib
import sqlite3
from textwrap import dedent

PYPROJECT = """
[tool.queryscope]
app = "shop:app"
database = "sqlite:///shop.db"
database-variable = "SHOP_DATABASE"
time-limit-s = 120

[tool.queryscope.actors]
ann = "shop:ann"
"""

APP = '''
"""A shop."""
import json
import os
from urllib.parse import parse_qs

from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Maker(Base):
    __tablename__ = "maker"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    stock: Mapped[int | None]
    maker_id: Mapped[int | None] = mapped_column(ForeignKey("maker.id"))
    maker: Mapped[Maker | None] = relationship()


engine = create_engine(os.environ.get("SHOP_DATABASE") or "sqlite:///shop.db")


def ann():
    return {"X-User": "ann"}


def listed(session, asked):
    least = int(asked.get("stock", ["0"])[0] or 0)
    items = session.scalars(select(Item).order_by(Item.name, Item.id)).all()
    return [
        {
            "name": item.name,
            "maker": item.maker.name if item.maker else None,
            "stock": item.stock or 0,
        }
        for item in items
        if not least or (item.stock or 0) >= least
    ]


def app(environ, start_response):
    status, body = "200 OK", None
    asked = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    with Session(engine) as session:
        path = environ["PATH_INFO"]
        if path == "/items":
            body = listed(session, asked)
        elif path == "/me":
            user = environ.get("HTTP_X_USER")
            status, body = ("200 OK", {"user": user}) if user else ("401 Nobody", {})
        elif path == "/buy" and environ["REQUEST_METHOD"] == "POST":
            item = session.get(Item, 1)
            item.stock = (item.stock or 0) - 1
            session.commit()
            body = {"left": item.stock}
        else:
            status, body = "404 Not Found", {}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
'''

GOOD = (
    "select(Item).order_by(Item.name, Item.id)",
    "select(Item).options(joinedload(Item.maker)).order_by(Item.name, Item.id)",
)
IMPORT = (
    "Session, mapped_column, relationship",
    "Session, joinedload, mapped_column, relationship",
)
INNER = (GOOD[0], GOOD[1].replace("Item.maker)", "Item.maker, innerjoin=True)"))


def make_shop(folder, *, items=6):
    """Write the project with its database into a folder and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(dedent(PYPROJECT), encoding="utf-8")
    (folder / "shop.py").write_text(APP.lstrip(), encoding="utf-8")
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.executescript(
            "CREATE TABLE maker (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, stock INTEGER,"
            " maker_id INTEGER REFERENCES maker (id));"
            "INSERT INTO maker VALUES (1, 'Ada'), (2, 'Ben'), (3, 'Cleo');"
        )
        connection.executemany(
            "INSERT INTO item VALUES (?, ?, ?, ?)",
            [(n, f"thing {n % 4}", n - 1 or None, n % 4 or None) for n in range(1, items + 1)],
        )
    connection.close()
    return folder


def a_diff(folder, *changes, file="shop.py"):
    """Return a unified diff that makes changes, each a pair of old and new text."""
    before = (folder / file).read_text(encoding="utf-8")
    after = before
    for old, new in changes:
        assert old in after, old
        after = after.replace(old, new, 1)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{file}",
        f"b/{file}",
    )
    return "".join(lines)


def bytes_of(folder):
    """Return every file of a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
