"""``--queryscope-strict``: findings fail tests, what is known does not, workers are added up."""

from __future__ import annotations

import re
import textwrap
from xml.etree import ElementTree as ET

import pytest

from queryscope.policy import baseline
from tests.pytest_plugin import test_plugin
from tests.pytest_plugin.test_plugin import project, tried

__all__ = ["project"]

STRICT = "--queryscope-strict"
LOOP = """
    import app

    def test_orders():
        app.list_orders()
"""
SEVERAL = """
    import app

    def test_loop():
        app.list_orders()

    def test_single():
        app.ask(1)

    def test_nothing():
        pass
"""


def configured(project, text):
    """Write pyproject.toml."""
    (project.path / "pyproject.toml").write_text(textwrap.dedent(text), encoding="utf-8")


def ignoring(project, old, new):
    """Change a line of the application."""
    file = project.path / "app.py"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def said(result):
    """Return the lines of the failure, without the end of the session."""
    lines = test_plugin.said(result)
    end = [n for n, line in enumerate(lines) if re.fullmatch(r"-+ queryscope -+", line)]
    return lines[: end[0]] if end else lines


def summary(result):
    """Return the lines that the session says at its end, in the plugin's own part."""
    lines = result.outlines
    start = [n for n, line in enumerate(lines) if re.fullmatch(r"-+ queryscope -+", line)]
    if not start:
        return []
    rest = lines[start[0] + 1 :]
    end = next(n for n, line in enumerate(rest) if line.startswith("==="))
    return rest[:end]


def test_finding_fails_its_test(project):
    """As a failed budget does: the user's line, the remedy, the report's path."""
    result = tried(project, STRICT, test_it=LOOP)
    result.assert_outcomes(failed=1)
    first, cause, shape, remedy, report = said(result)
    assert first == "1 open finding of level warning or graver"
    assert cause == "  QS101 n-plus-one  31x  app.py:27 in list_orders  N ms"
    assert "FROM customer WHERE" in shape
    assert re.fullmatch(r" {8}try: \S*load\(Order\.customer\)\S*  at app\.py:26", remedy)
    assert report == "report: .queryscope/test_orders.html"
    assert (project.path / ".queryscope" / "test_orders.html").exists()
    assert summary(result) == [
        "1 finding of level warning or graver:",
        "  QS101 n-plus-one  app.py:27 in list_orders  in 1 test",
    ]


def test_without_the_option_nothing_fails(project):
    """Nobody asked."""
    result = tried(project, test_it=LOOP)
    result.assert_outcomes(passed=1)
    assert summary(result) == []


def test_innocent_tests_pass(project):
    """A joined load, single statements, what the test itself makes, a failing test's own words."""
    result = tried(
        project,
        STRICT,
        test_it="""
        import app
        from sqlalchemy import select
        from sqlalchemy.orm import Session, selectinload

        def test_eager():
            with Session(app.engine) as session:
                asked = select(app.Order).options(selectinload(app.Order.customer))
                assert len([order.customer.id for order in session.scalars(asked)]) == 31

        def test_single():
            app.ask(1)

        def test_made_here():
            with Session(app.engine) as session:
                for number in range(100, 120):
                    session.add(app.Customer(id=number))
                    session.flush()
                session.rollback()

        def test_nothing():
            pass
        """,
    )
    result.assert_outcomes(passed=4)
    assert summary(result) == []


def test_own_failure_comes_first(project):
    """A test that fails says why itself."""
    text = LOOP + "        assert 1 == 2\n"
    result = tried(project, STRICT, test_it=text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2"])
    result.stdout.no_fnmatch_line("*open finding of level*")


def test_budget_and_findings_are_one_message(project):
    """Each finding is said once."""
    result = tried(
        project,
        STRICT,
        test_it="""
        import app, pytest

        @pytest.mark.query_budget(queries=5)
        def test_orders():
            app.list_orders()
        """,
    )
    result.assert_outcomes(failed=1)
    lines = said(result)
    assert lines[0] == "32 queries, budget 5 (27 over); 1 open finding of level warning or graver"
    assert sum("QS101" in line for line in lines) == 1
    assert lines[-1] == "report: .queryscope/test_orders.html"


def test_kept_budget_does_not_excuse_findings(project):
    """A block's budget and the rule of the session are two things."""
    result = tried(
        project,
        STRICT,
        test_it="""
        import app

        def test_orders(query_budget):
            with query_budget(queries=50):
                app.list_orders()
        """,
    )
    result.assert_outcomes(failed=1)
    assert said(result)[0] == "1 open finding of level warning or graver"


def test_inline_ignore_is_honoured(project):
    """In strict tests and in the budget of N+1 findings."""
    ignoring(project, "for order in orders]", "for order in orders]  # queryscope: ignore[QS101] x")
    result = tried(
        project,
        STRICT,
        test_it="""
        import app, pytest

        @pytest.mark.query_budget(n_plus_one=0)
        def test_orders():
            app.list_orders()
        """,
    )
    result.assert_outcomes(passed=1)
    assert summary(result) == ["1 known finding."]


def test_ignore_without_a_code_asks_for_one(project):
    """It is not in force, and the failure says what to write."""
    ignoring(project, "for order in orders]", "for order in orders]  # queryscope: ignore")
    result = tried(project, STRICT, test_it=LOOP)
    result.assert_outcomes(failed=1)
    assert any("this ignore names no code. Write the one" in line for line in said(result))


def test_baseline_is_honoured_until_it_expires(project):
    """Then the finding fails again, and says that it was known."""
    tried(project, STRICT, test_it=LOOP)
    page = (project.path / ".queryscope" / "test_orders.html").read_text(encoding="utf-8")
    (fingerprint,) = set(re.findall(r"<dt>fingerprint</dt><dd>([0-9a-f]{16})</dd>", page))
    entry = f'version = 1\n[[finding]]\nfingerprint = "{fingerprint}"\ncode = "QS101"\n'
    (project.path / baseline.FILE).write_text(entry, encoding="utf-8")
    tried(project, STRICT, test_it=LOOP).assert_outcomes(passed=1)
    expired = f"{entry}expires = 2020-01-31\n"
    (project.path / baseline.FILE).write_text(expired, encoding="utf-8")
    result = tried(project, STRICT, test_it=LOOP)
    result.assert_outcomes(failed=1)
    assert "        known in the baseline until 2020-01-31" in said(result)


@pytest.mark.parametrize(
    ("settings", "passed"),
    [
        ('[tool.queryscope.per-path."app.py"]\nignore = ["QS101"]', True),
        ('[tool.queryscope.per-path."other/*"]\nignore = ["QS101"]', False),
        ('[tool.queryscope]\nlevel = "critical"', False),
        ('[tool.queryscope]\nlevel = "info"', False),
    ],
)
def test_settings_of_the_project_hold(project, settings, passed):
    """Per path, and the level: 31 rows are critical."""
    configured(project, settings)
    result = tried(project, STRICT, test_it=LOOP)
    result.assert_outcomes(passed=int(passed), failed=int(not passed))


@pytest.mark.parametrize("option", [[STRICT], []])
@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("pyproject.toml", "[tool.queryscope]\nlvel = 1", "Did you mean 'level'?"),
        (baseline.FILE, "version = 1\nfindings = []", "Did you mean 'finding'?"),
    ],
)
def test_wrong_settings_end_pytest_at_once(project, file, text, said, option):
    """Before the first test runs, with or without the option."""
    (project.path / file).write_text(text, encoding="utf-8")
    result = tried(project, *option, test_it=LOOP)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{said}*"])


def properties(path):
    """Return the properties of each test of a JUnit file."""
    return {
        case.get("name"): [(one.get("name"), one.get("value")) for one in case.iter("property")]
        for case in ET.parse(path).iter("testcase")
    }


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_junit_has_numbers_and_findings(project, workers):
    """As properties of each recorded test, from workers too."""
    options = [STRICT, "--junitxml=it.xml", *workers]
    tried(project, *options, subprocess=bool(workers), test_it=SEVERAL)
    found = properties(project.path / "it.xml")
    assert found["test_single"] == [
        ("queryscope_queries", "1"),
        ("queryscope_rows", "1"),
        ("queryscope_findings", "0"),
    ]
    names = dict(found["test_loop"])
    assert (names["queryscope_queries"], names["queryscope_findings"]) == ("32", "1")
    assert re.match(r"critical QS101 app.py:27 in list_orders: .+", names["queryscope_finding"])


def test_junit_sums_up_the_blocks_of_a_test(project):
    """Of nested blocks the outermost counts."""
    tried(
        project,
        "--junitxml=it.xml",
        test_it="""
        import app

        def test_it(query_budget):
            with query_budget(queries=9):
                app.ask(2)
                with query_budget(queries=9):
                    app.ask(1)
            with query_budget(queries=9):
                app.ask(4)
        """,
    )
    assert dict(properties(project.path / "it.xml")["test_it"])["queryscope_queries"] == "7"


PARTS = {
    "test_one": """
        import app

        def test_same():
            app.list_orders()
        """,
    "test_two": """
        import app

        def test_same():
            app.list_orders()

        def test_other():
            app.ask(1)
        """,
}


@pytest.mark.parametrize("workers", [[], ["-n", "2", "--dist", "loadfile"]])
def test_workers_are_added_up(project, workers):
    """One sum for the whole session, and a report for each test, whatever the workers share."""
    ignoring(project, "_ in range(times):", "_ in range(times):  # queryscope: ignore[QS201] old")
    result = tried(project, STRICT, *workers, subprocess=bool(workers), **PARTS)
    result.assert_outcomes(failed=2, passed=1)
    assert summary(result) == [
        "1 finding of level warning or graver:",
        "  QS101 n-plus-one  app.py:27 in list_orders  in 2 tests",
        "app.py:31: ignore[QS201] matches nothing any more: delete it.",
    ]
    reports = re.findall(r"report: (\S+)", result.stdout.str())
    assert len(set(reports)) == 2
    assert all((project.path / report).exists() for report in reports)


STALE = "for order in orders]  # queryscope: ignore[QS101, QS502] old"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], True),
        (["."], True),
        (["-k", "loop or single or nothing"], True),  # nothing was left out
        (["-k", "loop"], False),
        (["test_it.py"], False),
        (["test_it.py::test_loop"], False),
        (["--deselect", "test_it.py::test_nothing"], False),
        (["-n", "2"], True),
        (["-n", "2", "-k", "loop"], False),
    ],
)
def test_stale_ignores_are_told_when_the_whole_suite_ran(project, options, told):
    """A part of the tests cannot know what the others need."""
    ignoring(project, "for order in orders]", STALE)
    result = tried(project, STRICT, *options, subprocess="-n" in options, test_it=SEVERAL)
    assert result.ret == 0
    stale = ["app.py:27: ignore[QS502] matches nothing any more: delete it."] if told else []
    assert summary(result) == ["1 known finding.", *stale]


def test_session_that_stopped_early_tells_no_stale_ignores(project):
    """With -x the rest did not run."""
    ignoring(project, "_ in range(times):", "_ in range(times):  # queryscope: ignore[QS201] old")
    text = SEVERAL.replace("pass", "assert False")
    result = tried(project, STRICT, "-x", test_it=text)
    assert not any("matches nothing" in line for line in summary(result))


def test_clock_fails_no_test(project):
    """A connection that is held while nothing is sent: on a slow machine every test has one."""
    result = tried(
        project,
        STRICT,
        "--junitxml=it.xml",
        test_it="""
        import app, queryscope, time
        from sqlalchemy import create_engine, text
        from sqlalchemy.pool import QueuePool

        def test_slow(tmp_path):
            engine = create_engine(f"sqlite:///{tmp_path / 'it.db'}", poolclass=QueuePool)
            with queryscope.profile("GET /slow/", kind="request"), engine.connect() as connection:
                connection.execute(text("SELECT 1")).all()
                time.sleep(0.15)
                connection.execute(text("SELECT 2")).all()
            engine.dispose()
        """,
    )
    result.assert_outcomes(passed=1)
    found = dict(properties(project.path / "it.xml")["test_slow"])["queryscope_finding"]
    assert found.startswith("warning QS502 "), "nothing to be lenient with"


EAGER = """
    import app
    from sqlalchemy import select
    from sqlalchemy.orm import Session, joinedload

    def orders(session):
        return session.scalars(select(app.Order).options(joinedload(app.Order.customer)))

    def numbers():
        with Session(app.engine) as session:
            return [order.customer_id for order in orders(session)]

    def names():
        with Session(app.engine) as session:
            return [order.customer.name for order in orders(session)]
"""
NUMBERS = """
    import eager

    def test_numbers():
        eager.numbers()
"""
NAMES = """
    import eager

    def test_names():
        eager.names()
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2", "--dist", "loadfile"]])
@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"test_a": NUMBERS, "test_b": NUMBERS}, True),
        ({"test_a": NUMBERS, "test_b": NAMES}, False),  # one test reads it: it is needed
        ({"test_a": NAMES}, False),
    ],
)
def test_relations_that_no_test_reads_are_told(project, workers, files, told):
    """Over the whole session, whichever worker ran the test that reads them; none fails."""
    result = tried(
        project, STRICT, *workers, subprocess=True, eager=textwrap.dedent(EAGER), **files
    )
    result.assert_outcomes(passed=len(files))
    unread = [
        "1 relation loaded along and read in no test:",
        "  QS112 Order.customer  eager.py:6 in orders  in 2 tests",
    ]
    assert summary(result) == (unread if told else [])


def test_relations_of_a_part_of_the_suite_are_not_told(project):
    """Other tests may read them."""
    result = tried(project, STRICT, "test_a.py", eager=textwrap.dedent(EAGER), test_a=NUMBERS)
    assert summary(result) == []
