"""Being told of an import, and the hooks that go in when an ORM comes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib import import_module
from importlib.util import find_spec

import pytest

from queryscope import adapters
from queryscope.imports import OrmWatch, forget, when_imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the name of a module that is on the path and was never imported."""
    name = f"never_imported_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("value = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def ours():
    """Return our finders in ``sys.meta_path``."""
    return [finder for finder in sys.meta_path if type(finder).__module__ == "queryscope.imports"]


def test_import_is_told_once(module):
    """The call comes after the module's code, before the importer goes on, and once."""
    seen = []
    when_imported(module, lambda: seen.append(sys.modules[module].value))
    assert find_spec(module) is not None
    assert seen == []
    import_module(module)
    assert seen == [1]
    assert not ours()
    del sys.modules[module]
    import_module(module)
    assert seen == [1]


def test_module_that_is_there_is_told_at_once(module):
    """For a module that was imported before, the call comes now."""
    import_module(module)
    seen = []
    when_imported(module, lambda: seen.append(1))
    assert seen == [1]
    assert not ours()


def test_forgotten_import_is_not_told(module):
    """What was taken back is not called; others that wait for the same are."""
    seen = []
    first, second = (lambda: seen.append(1)), (lambda: seen.append(2))
    when_imported(module, first)
    when_imported(module, second)
    forget(module, first)
    forget(module, first)
    import_module(module)
    assert seen == [2]
    assert not ours()


def test_missing_module_fails_as_before():
    """A module that nobody finds raises what it would have raised."""
    name = "there_is_no_such_module"
    call = lambda: None  # noqa: E731 - it is compared, not called
    when_imported(name, call)
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{name}'"):
        import_module(name)
    forget(name, call)
    assert not ours()


def test_module_that_fails_is_told_when_it_succeeds(module, tmp_path):
    """An import that raised was none; the next attempt may be one."""
    path = tmp_path / f"{module}.py"
    path.write_text("raise LookupError('mine')\n", encoding="utf-8")
    seen = []
    when_imported(module, lambda: seen.append(1))
    with pytest.raises(LookupError):
        import_module(module)
    path.write_text("value = 22\n", encoding="utf-8")
    import_module(module)
    assert seen == [1]


def test_watch_that_ended_leaves_nothing():
    """A watch takes back what it waits for."""
    watch = OrmWatch()
    watch.begin()
    watch.end()
    adapters.uninstall()
    assert not ours()


def test_refusal_is_reported_and_import_succeeds():
    """An ORM that is too old is imported as ever; who watches is told in one sentence."""
    program = """
    import sys

    from queryscope.imports import OrmWatch
    from queryscope.trace import guard

    told = []
    OrmWatch(report=told.append).begin()
    import sqlalchemy.util
    assert told == [], told

    from queryscope.sqlalchemy import hooks
    hooks.uninstall()
    sqlalchemy.__version__ = "1.4.54"
    OrmWatch(report=told.append).begin()
    assert told == ["SQLAlchemy 1.4.54 is installed; queryscope needs 2.0 or newer."], told
    assert guard.failures()[0].place == "install"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_watch_that_ended_hooks_no_django():
    """Django, imported but not set up when the watch ends, is as it was, also after its set-up."""
    program = """
    import sys
    from django.apps.registry import Apps
    from django.conf import settings

    original = Apps.populate
    from queryscope.imports import OrmWatch

    watch = OrmWatch()
    watch.begin()
    assert Apps.populate is not original
    watch.end()
    assert Apps.populate is original
    import django
    settings.configure()
    django.setup()
    assert "queryscope.django.hooks" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


@pytest.mark.parametrize("first", [0, 1])
def test_watches_that_overlap_leave_nothing(first):
    """Whichever of two ends first, the other goes on, and after both nothing is left."""
    program = f"""
    import sys
    from django.apps.registry import Apps
    from django.conf import settings

    original = Apps.populate
    from queryscope.imports import OrmWatch

    told = []
    watches = [OrmWatch(then=lambda: told.append("one")), OrmWatch(then=lambda: told.append("two"))]
    for watch in watches:
        watch.begin()
    watches[{first}].end()
    assert Apps.populate.__wrapped__ is original
    watches[{1 - first}].end()
    assert Apps.populate is original

    for watch in watches:
        watch.begin()
    watches[{first}].end()
    import django
    settings.configure()
    django.setup()
    assert told == [["two", "one"][{first}]], told
    assert Apps.populate is original
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_django_is_hooked_when_it_is_set_up():
    """Importing Django installs nothing; setting it up does, and its own method is put back."""
    program = """
    import sys
    from queryscope.imports import OrmWatch

    OrmWatch().begin()
    import django
    from django.apps.registry import Apps
    from django.conf import settings

    original = Apps.populate.__wrapped__
    settings.configure()
    assert "queryscope.django.hooks" not in sys.modules
    django.setup()
    from django.db.backends.base.base import BaseDatabaseWrapper
    assert hasattr(BaseDatabaseWrapper.make_cursor, "__wrapped__")
    assert Apps.populate is original
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)
