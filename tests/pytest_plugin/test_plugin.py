"""The plugin as pytest sees it: failures word by word, marks, settings, wrong use."""

from __future__ import annotations

import re
import textwrap

import pytest
import sqlalchemy

PLAIN = ["-p", "no:randomly", "-p", "no:django", "-p", "no:cacheprovider"]
"""Options of the runs inside a test: the plugin alone."""

APP = """
from sqlalchemy import ForeignKey, Integer, String, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

class Base(DeclarativeBase):
    pass

class Customer(Base):
    __tablename__ = "customer"
    id = mapped_column(Integer, primary_key=True)
    name = mapped_column(String)

class Order(Base):
    __tablename__ = "orders"
    id = mapped_column(Integer, primary_key=True)
    customer_id = mapped_column(ForeignKey("customer.id"))
    customer = relationship(Customer)

engine = create_engine("sqlite://", poolclass=StaticPool)
Base.metadata.create_all(engine)
with Session(engine) as session, session.begin():
    session.add_all(Order(id=n, customer=Customer(id=n)) for n in range(1, 32))

def list_orders():
    with Session(engine) as session:
        orders = session.scalars(select(Order)).all()
        return [order.customer.id for order in orders]

def ask(times=1):
    with Session(engine) as session:
        for _ in range(times):
            session.execute(text("SELECT 1")).all()
"""


CONFTEST = """
import sys

def pytest_sessionfinish():
    if "app" in sys.modules:  # Python 3.13 warns of a SQLite connection that nobody closed
        sys.modules["app"].engine.dispose()
"""


@pytest.fixture
def project(pytester):
    """A folder with an application, in which tests can be run."""
    pytester.makepyfile(app=APP)
    pytester.makeconftest(CONFTEST)
    pytester.syspathinsert()
    return pytester


def tried(project, *options, subprocess=False, **files):
    """Run the tests of some files, and return what pytest says."""
    project.makepyfile(**{name: textwrap.dedent(text) for name, text in files.items()})
    run = project.runpytest_subprocess if subprocess else project.runpytest_inprocess
    return run(*PLAIN, *options)


def said(result):
    """Return the lines of the failure, with times replaced and the width of their column.

    Not the carets below the failing line, which pytest draws on some versions of Python.
    """
    wide = [re.sub(r" {2,}[\d.]+ ms", "  N ms", line) for line in result.outlines]
    lines = [re.sub(r"[\d.]+ ms", "N ms", line) for line in wide]
    first = next(n for n, line in enumerate(lines) if line.startswith("____")) + 1
    last = next(n for n, line in enumerate(lines) if " short test summary info " in line)
    return [line.rstrip() for line in lines[first:last] if line.strip(" ^")]


def test_failure_points_at_the_with_line(project):
    """The message is the user's line, the numbers, the causes by cost, and the report's path."""
    result = tried(
        project,
        test_it="""
        import app

        def test_orders(query_budget):
            app.ask(50)
            with query_budget(queries=5):
                app.list_orders()
        """,
    )
    result.assert_outcomes(failed=1)
    lines = said(result)[1:]
    # What is to be written is the detector's to say, and where the budget's.
    assert re.fullmatch(r"E {15}try: \S*load\(Order\.customer\)\S*  at app\.py:26", lines.pop(6))
    # SQLAlchemy 2.1 writes no label to a column of a lazy load: short enough to be shown.
    columns = "…" if sqlalchemy.__version__ < "2.1" else "customer.id, customer.name"
    assert lines == [
        "    def test_orders(query_budget):",
        "        app.ask(50)",
        ">       with query_budget(queries=5):",
        "E       Failed: 32 queries, budget 5 (27 over)",
        "E         QS101 n-plus-one  31x  app.py:27 in list_orders  N ms",
        f"E               SELECT {columns} FROM customer WHERE customer.id = ?",
        "E         other              1x  app.py:26 in list_orders  N ms",
        "E               SELECT orders.id, orders.customer_id FROM orders",
        "E       report: .queryscope/test_orders.html",
        "test_it.py:5: Failed",
    ]
    page = (project.path / ".queryscope" / "test_orders.html").read_text(encoding="utf-8")
    assert "n-plus-one" in page
    assert "test_it.py::test_orders" in page
    assert (project.path / ".queryscope" / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_mark_says_the_test(project):
    """A mark has no line of its own in the test: the message names the test's."""
    result = tried(
        project,
        test_it="""
        import app, pytest

        @pytest.fixture
        def asked():
            app.ask(20)

        @pytest.mark.query_budget(queries=2, sessions=0)
        def test_marked(asked):
            app.ask(3)
        """,
    )
    result.assert_outcomes(failed=1)
    numbers, *causes, budget, report = said(result)
    assert numbers == "3 queries, budget 2 (1 over); 1 session, budget 0 (1 over)"
    # By what they cost: which of the two took longer is the machine's to say.
    assert sorted(causes) == [
        "        SELECT ?",
        "  other    3x  app.py:32 in ask  N ms",
        "  session  1x  app.py:30 in ask  N ms",
    ]
    assert budget == "budget of test_marked, test_it.py:7"
    assert report == "report: .queryscope/test_marked.html"


def test_summary_line_has_the_numbers(project):
    """The short summary at the end tells every budget that was exceeded."""
    result = tried(
        project,
        test_it="""
        import app

        def test_it(query_budget):
            with query_budget(1, rows=0):
                app.ask(2)
        """,
    )
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_it - Failed: 2 queries, budget 1 (1 over); 2 rows,*"]
    )


def test_kept_budgets_pass_and_write_nothing(project):
    """Budgets that are kept leave no trace, as fixture, mark and coroutine's block."""
    result = tried(
        project,
        test_it="""
        import app, asyncio, pytest

        def test_block(query_budget):
            with query_budget(1):
                app.ask(1)

        @pytest.mark.query_budget(1)
        def test_mark():
            app.ask(1)

        def test_coroutine(query_budget):
            async def run():
                async with query_budget(queries=1):
                    app.ask(1)
            asyncio.run(run())
        """,
    )
    result.assert_outcomes(passed=3)
    assert not (project.path / ".queryscope").exists()


def test_coroutine_block_fails(project):
    """A block of a coroutine is judged, too."""
    result = tried(
        project,
        test_it="""
        import app, asyncio

        def test_coroutine(query_budget):
            async def run():
                async with query_budget(queries=0):
                    app.ask(1)
            asyncio.run(run())
        """,
    )
    assert ">       async with query_budget(queries=0):" in result.outlines
    result.stdout.fnmatch_lines(["E * Failed: 1 query, budget 0 (1 over)"])


def test_exception_of_the_test_is_the_failure(project):
    """A test that raises fails with that, under a mark and in a block."""
    result = tried(
        project,
        test_it="""
        import app, pytest

        @pytest.mark.query_budget(0)
        def test_mark(query_budget):
            app.ask(1)
            with query_budget(0):
                app.ask(1)
                raise LookupError("mine")
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *LookupError: mine"])
    result.stdout.no_fnmatch_line("*budget 0*")


def test_nearest_mark_counts_alone(project):
    """The function's mark stands in for the class's; one of None lifts it; fixtures are outside."""
    result = tried(
        project,
        test_it="""
        import app, pytest

        @pytest.mark.query_budget(queries=0, rows=0)
        class TestIt:
            @pytest.mark.query_budget(queries=2)
            def test_more(self):
                app.ask(2)

            @pytest.mark.query_budget(queries=None)
            def test_any(self):
                app.ask(9)

            def test_own(self):
                app.ask(1)
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["1 query, budget 0 (1 over); 1 row, budget 0 (1 over)"])


MARKS = """
import app, pytest

@pytest.mark.query_budget
def test_bare_mark():
    app.ask(2)

def test_bare_block(query_budget):
    with query_budget():
        app.ask(2)

@pytest.mark.query_budget(rows=5)
def test_named_alone():
    app.ask(2)

def test_unmarked():
    app.ask(2)

@pytest.mark.query_budget(queries=None)
def test_lifted():
    app.ask(2)
"""


@pytest.mark.parametrize(
    ("everywhere", "failed"),
    [
        ("false", {"test_bare_mark", "test_bare_block"}),
        ("true", {"test_bare_mark", "test_bare_block", "test_unmarked"}),
    ],
)
@pytest.mark.parametrize("syntax", ["ini", "toml"])
def test_defaults_fill_bare_budgets(project, syntax, everywhere, failed):
    """Defaults are for bare marks and blocks, and for unmarked tests only when all are asked."""
    if syntax == "ini":
        project.makeini(f"[pytest]\nquery_budget_queries = 1\nquery_budget_all = {everywhere}")
    else:
        project.maketoml(f"[pytest]\nquery_budget_queries = 1\nquery_budget_all = {everywhere}")
    result = tried(project, test_it=MARKS)
    result.assert_outcomes(failed=len(failed), passed=5 - len(failed))
    assert failed == {
        line.split("::")[1].split(" ")[0] for line in result.outlines if line.startswith("FAILED")
    }


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("query_budget_querys = 5", "there is no budget 'querys'. Did you mean 'queries'?"),
        ("query_budget_rows = -1", "rows must be a whole number from 0 on, not -1."),
        ("query_budget_rows = many", "*query_budget_rows*many*"),
        ("query_budget_time_ms = nan", "time_ms must be milliseconds from 0 on, not nan."),
        ("query_budget_waste = 30", "waste must be a share of the statements from 0.0 to 1.0, not"),
        ("query_budget_all = true", "query_budget_all gives every test the default budgets, and"),
    ],
)
def test_wrong_setting_stops_pytest(project, setting, text):
    """A wrong setting is a usage error before any test runs."""
    project.makeini(f"[pytest]\n{setting}")
    result = tried(project, test_it="def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: pytest configuration: *{text}*"])


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        ("(querys=1)", "there is no budget 'querys'. Did you mean 'queries'?*"),
        ("(-1)", "queries must be a whole number from 0 on, not -1."),
        ("(1, 2)", "only the first budget, queries, may be given by position, not 2 of them.*"),
        ("", "it names no budget, and the pytest configuration has no defaults.*"),
    ],
)
def test_wrong_mark_stops_pytest(project, mark, text):
    """A wrong mark is a usage error before any test runs, and says which test has it."""
    result = tried(
        project,
        test_it=f"""
        import pytest

        def test_good():
            print("it ran")

        @pytest.mark.query_budget{mark}
        def test_bad():
            pass
        """,
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test_bad: mark query_budget: {text}"])
    result.stdout.no_fnmatch_line("*it ran*")


def test_wrong_mark_that_is_deselected_is_not_judged(project):
    """Only the marks of tests that will run are checked."""
    result = tried(
        project,
        "-k",
        "good",
        test_it="""
        import pytest

        def test_good():
            pass

        @pytest.mark.query_budget(-1)
        def test_bad():
            pass
        """,
    )
    result.assert_outcomes(passed=1, deselected=1)


def test_wrong_call_points_at_the_users_line(project):
    """A wrong call of the fixture is a usage error at the user's line, without our source."""
    result = tried(
        project,
        test_it="""
        def test_it(query_budget):
            with query_budget(sesions=1):
                pass
        """,
    )
    result.stdout.fnmatch_lines(
        [
            ">       with query_budget(sesions=1):",
            "E * pytest.UsageError: query_budget: there is no budget 'sesions'. Did you mean *",
            "test_it.py:2: UsageError",
        ]
    )


def test_reports_of_equal_names_are_kept_apart(project):
    """Tests of one name in two files, and parameters that no file name may have, all report."""
    failing = """
    import app, pytest

    @pytest.mark.parametrize("which", ["a/b", "../c", "d e"])
    def test_it(query_budget, which):
        with query_budget(0):
            app.ask()
    """
    result = tried(project, test_one=failing, test_two=failing)
    result.assert_outcomes(failed=6)
    found = {path.name for path in (project.path / ".queryscope").glob("*.html")}
    assert found == {
        "test_it-a-b.html",
        "test_it-..-c.html",
        "test_it-d-e.html",
        "test_it-a-b-2.html",
        "test_it-..-c-2.html",
        "test_it-d-e-2.html",
    }


def test_unwritable_report_is_said(project):
    """When the report cannot be written, the failure says so and stays the budget's."""
    (project.path / ".queryscope").write_text("a file where the folder should be")
    result = tried(
        project,
        test_it="""
        import app

        def test_it(query_budget):
            with query_budget(0):
                app.ask()
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E       Failed: 1 query, budget 0 (1 over)",
            "E       report: not written to .queryscope/test_it.html: *Error: *",
        ]
    )


def test_orm_imported_inside_the_block_counts(project):
    """An ORM that is imported only inside the block is recorded from then on."""
    result = tried(
        project,
        subprocess=True,
        test_it="""
        import sys

        def test_it(query_budget):
            assert "sqlalchemy" not in sys.modules
            with query_budget(0):
                import app
                app.ask(2)
        """,
    )
    result.assert_outcomes(failed=1)
    # The application's own start is in the block here: its tables and thirty-one inserts.
    result.stdout.re_match_lines([r"E +Failed: \d+ queries, budget 0 \(\d+ over\)"])


def test_pytest_start_imports_nothing_heavy(project):
    """Without a budget the plugin loads no framework and nothing of the core."""
    result = tried(
        project,
        subprocess=True,
        test_it="""
        import sys

        def test_it():
            heavy = {"django", "sqlalchemy", "jinja2", "rich", "sqlparse"}
            assert not heavy & set(sys.modules)
            ours = {name for name in sys.modules if name.startswith("queryscope.")}
            assert not {name for name in ours if "trace" in name or "detectors" in name}, ours
        """,
    )
    result.assert_outcomes(passed=1)


def test_missing_frameworks_do_no_harm(project):
    """Where neither Django nor SQLAlchemy can be imported, a budget holds nothing but time."""
    project.makeconftest(
        """
        import sys

        class Refusing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("django", "sqlalchemy"):
                    raise ModuleNotFoundError(name=name)

        sys.meta_path.insert(0, Refusing())
        """
    )
    result = tried(
        project,
        subprocess=True,
        test_it="""
        def test_it(query_budget):
            with query_budget(queries=0, time_ms=10_000):
                pass
        """,
    )
    result.assert_outcomes(passed=1)


def test_unittest_case_keeps_its_mark(project):
    """A marked method of a TestCase is judged; one that fails by itself fails with that."""
    result = tried(
        project,
        test_it="""
        import unittest

        import app, pytest

        class TestIt(unittest.TestCase):
            @pytest.mark.query_budget(1)
            def test_over(self):
                app.ask(2)

            @pytest.mark.query_budget(1)
            def test_wrong(self):
                app.ask(2)
                self.assertEqual(1, 2)
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["2 queries, budget 1 (1 over)", "E *AssertionError: 1 != 2"])


def test_failed_hook_is_shown(project):
    """What our own hooks swallowed is said at the end of the run."""
    result = tried(
        project,
        test_it="""
        from queryscope.trace import guard

        def test_it():
            guard.count(KeyError("lost"), "somewhere")
        """,
        subprocess=True,
    )
    result.stdout.fnmatch_lines(["queryscope: its own somewhere failed 1x: KeyError: 'lost'"])


def test_waste_is_a_share_of_the_statements(project):
    """31 of 32 statements could be spared: as a block, a mark and a default of all tests."""
    project.makeini("[pytest]\nquery_budget_waste = 0.5\nquery_budget_all = true")
    result = tried(
        project,
        test_it="""
        import app, pytest

        def test_all():
            app.list_orders()

        @pytest.mark.query_budget(waste=0.3)
        def test_marked():
            app.list_orders()

        @pytest.mark.query_budget(waste=1)
        def test_allowed():
            app.list_orders()

        @pytest.mark.query_budget(waste=1.0)
        def test_block(query_budget):
            with query_budget(waste=0):
                app.ask(1)
            with query_budget(waste=0.25):
                app.list_orders()
        """,
    )
    result.assert_outcomes(failed=3, passed=1)
    text = "\n".join(result.outlines)
    for budget, over in ((50, 47), (30, 67), (25, 72)):
        wasted = "97 % of the statements wasted, budget"
        assert f"{wasted} {budget} % ({over} % over)" in text
    assert "QS101 n-plus-one  31x  app.py:27 in list_orders" in text
