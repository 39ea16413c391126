"""Code tables: whose frame it is, and the position that a (code, instruction) pair stands for."""

from __future__ import annotations

import json
import os
import sys
import sysconfig

import pytest

from queryscope.trace import codes
from queryscope.trace.codes import JINJA, LIBRARY, USER, CodeTable, is_user

SITE = sysconfig.get_path("purelib")
STDLIB = sysconfig.get_path("stdlib")


@pytest.fixture(autouse=True)
def restored():
    """Packages that a test names are forgotten after it."""
    yield
    codes.forget_packages()


def frame_in(source, file="made.py", **names):
    """Run ``source``, which defines ``f``, in a module of its own; return the frame f gives."""
    names.setdefault("__name__", "made")
    exec(compile(source, file, "exec"), names)
    return names["f"]()


GIVES_FRAME = "import sys\ndef f():\n    return sys._getframe()\n"


@pytest.mark.parametrize(
    ("module", "file", "user"),
    [
        ("shop.views", "/srv/shop/views.py", True),
        ("__main__", "script.py", True),
        ("", "<string>", True),
        ("shop.views", "C:\\srv\\shop\\views.py", True),
        ("django.db.models", SITE + "/django/db/models/__init__.py", False),
        ("django.db.models", "C:\\venv\\Lib\\site-packages\\django\\db.py", False),
        ("apt", "/usr/lib/python3/dist-packages/apt/__init__.py", False),
        ("json", STDLIB + "/json/__init__.py", False),
        ("importlib", "<frozen importlib._bootstrap>", False),
        ("queryscope.runtime", "/srv/src/queryscope/runtime.py", False),
        ("queryscopes", "/srv/queryscopes.py", True),
    ],
)
def test_module_and_path_tell_whose_frame_it_is(module, file, user):
    """Installed packages, the standard library and we ourselves are libraries."""
    assert is_user(module, file) is user


def test_named_packages_go_before_paths():
    """An application installed as a wheel is the user's, a vendored library is not."""
    codes.set_packages(user=["shop"], library=["vendored"])
    assert is_user("shop.views", SITE + "/shop/views.py")
    assert not is_user("vendored.orm", "/srv/vendored/orm.py")
    codes.forget_packages()
    assert not is_user("shop.views", SITE + "/shop/views.py")


def test_templates_belong_to_the_package_they_lie_in():
    """A template has no module: those of a named package are the user's, its libraries' are not."""
    codes.set_packages(user=["shop"], library=[])
    assert is_user("", SITE + "/shop/templates/shop/list.html")
    assert not is_user("", SITE + "/shop_tables/templates/shop/table.html")
    assert not is_user("tables.rows", SITE + "/shop/rows.py")
    codes.forget_packages()
    assert not is_user("", SITE + "/shop/templates/shop/list.html")


def test_naming_packages_classifies_again():
    """What was classified before the packages were named is classified again, in its table."""
    table = codes.current()
    frame = frame_in(GIVES_FRAME)
    table.classify(frame, frame.f_code)
    codes.set_packages(user=["shop"], library=[])
    assert codes.current() is table
    assert id(frame.f_code) not in table.kinds
    table.classify(frame, frame.f_code)
    codes.set_packages(user=["shop"], library=[])
    assert table.kinds[id(frame.f_code)] == USER
    codes.forget_packages()


def test_code_that_a_library_makes_with_exec_is_the_librarys():
    """A decorator made with exec has no file of its own: it counts as its module."""
    names: dict[str, object] = {"__name__": "json.decoder"}
    exec("import sys\ndef give():\n    return sys._getframe()", names)
    frame = names["give"]()
    assert CodeTable().classify(frame, frame.f_code) == LIBRARY


def test_frames_are_classified_once():
    """A table remembers the kind of a code object and keeps the object alive."""
    table = CodeTable()
    frame = frame_in(GIVES_FRAME)
    assert table.classify(frame, frame.f_code) == USER
    assert table.kinds[id(frame.f_code)] == USER
    assert table.codes[id(frame.f_code)] is frame.f_code
    stdlib = json.loads("{}", object_hook=lambda _: sys._getframe(1))
    assert table.classify(stdlib, stdlib.f_code) == LIBRARY


def test_equal_code_in_two_files_is_told_apart():
    """Two files with the same text have equal code objects, and still two positions."""
    table = CodeTable()
    one, two = frame_in(GIVES_FRAME, "one.py"), frame_in(GIVES_FRAME, "two.py")
    files = []
    for frame in (one, two):
        table.classify(frame, frame.f_code)
        files.append(table.resolve(id(frame.f_code), frame.f_lasti).file)
    assert files == ["one.py", "two.py"]


def test_position_spans_the_expression():
    """Lines and columns are those of the running expression, in UTF-8 bytes."""
    table = CodeTable()
    source = "import sys\ndef f():\n    é = [\n        sys._getframe(),\n    ]\n    return é[0]\n"
    frames = []
    names = {"__name__": "made"}

    def tracer(frame, event, argument):
        return None

    exec(
        compile(source.replace("sys._getframe()", "note(sys._getframe())"), "made.py", "exec"),
        names,
    )
    names["note"] = lambda frame: frames.append((frame.f_code, frame.f_lasti, frame)) or frame
    names["f"]()
    code, instruction, frame = frames[0]
    table.classify(frame, code)
    found = table.resolve(id(code), instruction)
    assert (found.line, found.end_line, found.column, found.end_column) == (4, 4, 8, 29)
    assert (found.function, found.module) == ("f", "made")


def test_file_is_the_modules_own_where_the_code_was_built_elsewhere():
    """Code compiled under another path is found by the module's ``__file__``."""
    table = CodeTable()
    frame = frame_in(GIVES_FRAME, "/build/shop.py", __file__="/srv/shop.py", __name__="shop")
    table.classify(frame, frame.f_code)
    assert table.resolve(id(frame.f_code), frame.f_lasti).file == "/srv/shop.py"


def test_jinja_code_is_a_template(tmp_path):
    """Jinja2's compiled templates are told by their module, and resolve to template lines."""
    import jinja2

    (tmp_path / "page.html").write_text("one\n{{ ask() }}\n", encoding="utf-8")
    frames = []
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path), autoescape=True)
    environment.globals["ask"] = lambda: frames.append((sys._getframe(1), sys._getframe(1).f_lasti))
    environment.get_template("page.html").render()
    frame, instruction = next(
        (f, i) for f, i in frames_up(frames[0]) if "__jinja_template__" in f.f_globals
    )
    table = CodeTable()
    assert table.classify(frame, frame.f_code) == JINJA
    node = table.resolve(id(frame.f_code), instruction)
    assert (node.template, node.line, node.engine) == ("page.html", 2, "jinja2")
    assert node.file == os.fspath(tmp_path / "page.html")


def frames_up(pair):
    """Yield a frame and its callers, each with its instruction."""
    frame, instruction = pair
    while frame is not None:
        yield frame, instruction
        frame = frame.f_back
        instruction = frame.f_lasti if frame else -1


def test_unknown_code_resolves_to_nothing():
    """A chain of another table, or of a lost one, gives no position."""
    assert CodeTable().resolve(12345, 0) is None


def test_full_table_is_replaced(monkeypatch):
    """Code made for ever does not fill one table for ever; a Recorder keeps the one it has."""
    monkeypatch.setattr(codes, "MAX_CODES", 3)
    codes.forget_packages()
    first = codes.current()
    kept = []
    for number in range(20):
        frame = frame_in(GIVES_FRAME, f"made{number}.py")
        kept.append(frame)
        table = codes.current()
        table.classify(frame, frame.f_code)
    assert codes.current() is not first
    assert len(codes.current().kinds) <= 3 + len(codes._registered) + 3


def test_creation_site_is_a_number_that_gives_the_position_back():
    """The nearest user line gets a number; an unknown number gives nothing."""
    line = sys._getframe().f_lineno + 1
    number = codes.creation_site(sys._getframe())
    found = codes.position_of(number)
    assert (found.line, found.function) == (
        line,
        "test_creation_site_is_a_number_that_gives_the_position_back",
    )
    assert codes.position_of(number + 1_000_000) is None
    assert codes.position_of(0) is None
    assert codes.creation_site(None) == 0


def test_equal_creation_sites_have_one_number():
    """A line reached again has the number it had."""
    assert len({codes.creation_site(sys._getframe()) for _ in range(3)}) == 1


def test_registration_holds_until_it_is_taken_back():
    """A registered function has its kind in the current table and in later ones."""

    def function():
        pass

    codes.register(function, codes.BOUNDARY)
    assert CodeTable().kinds[id(function.__code__)] == codes.BOUNDARY
    codes.unregister([function])
    assert id(function.__code__) not in CodeTable().kinds
    assert id(function.__code__) not in codes.current().kinds
