"""``scan --plans --models``: what models promise, compared with the database of the traffic."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from queryscope.cli.main import main
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_query, a_trace

MODELS = """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Seat(Base):
    __tablename__ = "models_seat"
    id: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[int] = mapped_column("seat_row")
    code: Mapped[str] = mapped_column(unique=True)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with models, a database that lacks what they promise, and a recorded request."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "models_of_seats.py").write_text(MODELS, encoding="utf-8")
    with closing(sqlite3.connect("seats.db")) as connection:
        connection.execute(
            "CREATE TABLE models_seat "
            "(id INTEGER PRIMARY KEY, seat_row INTEGER NOT NULL, code TEXT)"
        )
    store = Store(".queryscope/traces.db", max_age_days=100_000)
    query = a_query("SELECT s.id FROM models_seat s WHERE s.id = ?", keep=True)
    store.add([Judged(a_trace(query), ())])
    store.close()
    (tmp_path / "settings_of_none.py").write_text("INSTALLED_APPS = []\n", encoding="utf-8")
    return tmp_path


def found(*arguments):
    """Return what a scan finds of QS405: in a process of its own, for it compares all it knows."""
    command = [sys.executable, "-m", "queryscope", "scan", "--plans", "--format", "json"]
    done = subprocess.run(
        [*command, "--database", "sqlite:///seats.db", *arguments],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings_of_none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    document = json.loads(done.stdout)
    return [item for item in document["findings"] if item["code"] == "QS405"]


def test_models_are_compared_with_the_database(folder):
    """Each kind of promise that the table does not keep, at the line of the attribute."""
    findings = found("--models", "models_of_seats")
    assert sorted(item["message"].split()[2] for item in findings) == ["not", "unique"]
    assert {item["place"]["line"] for item in findings} == {12}


def test_comment_beside_the_model_accepts_it(folder):
    """With its reason, as any other finding."""
    text = MODELS.replace(
        "(unique=True)", "(unique=True)  # queryscope: ignore[QS405] the importer looks"
    )
    (folder / "models_of_seats.py").write_text(text, encoding="utf-8")
    assert found("--models", "models_of_seats") == []


def test_without_models_nothing_is_compared(folder):
    """Nobody said what they promise."""
    assert found() == []


def test_djangos_models_are_those_of_its_settings(folder):
    """Their tables are not in this database."""
    assert found("--models", "django") == []


def test_module_that_is_not_there_is_an_error(folder, capsys):
    """With its name and the reason."""
    assert main(["scan", "--plans", "--models", "no_such_models"]) == 2
    error = capsys.readouterr().err
    assert "--models no_such_models cannot be imported: ModuleNotFoundError" in error


def test_django_without_settings_is_an_error(folder, capsys, monkeypatch):
    """Which ones, nobody said."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert main(["scan", "--plans", "--models", "django"]) == 2
    assert "DJANGO_SETTINGS_MODULE" in capsys.readouterr().err
