"""QS302, QS305 and QS306: work left to Python, and rows that Python needs."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_read, a_trace, an_origin
from tests.detectors.judging import Source, said

CODES = ("QS302", "QS305", "QS306")
ROWS = 'SELECT "book"."id", "book"."price", "book"."title" FROM "book"'
FILTER = "return [b.title for b in ask() if b.price > 5]"
TOTAL = "return sum(b.price for b in ask())"
SORT = "return sorted(ask(), key=lambda b: b.price)"
LINES = {"QS302": FILTER, "QS305": TOTAL, "QS306": SORT}
READ = {
    "QS302": {"price": 200, "title": 20},
    "QS305": {"price": 200},
    "QS306": {"price": 200, "title": 200},
}
QUOTED = {
    "sqlite": ROWS,
    "postgresql": ROWS + ' WHERE "book"."price" > $1::INTEGER',
    "mysql": ROWS.replace('"', "`"),
}


@pytest.fixture
def judged(tmp_path):
    """Return what is said of a statement that ``ask()`` in a line of a function sent."""

    def judge(line, read_rows, statement=ROWS, *, codes=CODES, trace=None, query=None, **facts):
        source = Source(tmp_path, f"def view(seen):\n    {line}\n")
        facts = {
            "rows": 200, "columns": ("id", "price", "title"), "sizes": (8, 8, 9), **facts,
        }  # fmt: skip
        asked = {
            "rows": 200, "parameters": (), "origin": an_origin(source.frame("ask()")),
            "model": "library.Book", **(query or {}),
        }  # fmt: skip
        read = a_read(read_rows=read_rows, **facts)
        return said(a_trace(a_query(statement, **asked), reads=(read,), **(trace or {})), *codes)

    return judge


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "facts",
    [
        {"rows": 40},
        {"known": False},
        {"columns": ("id", "title"), "sizes": (8, 9)},
        {"trace": {"recording": "light"}},
        {"trace": {"attributes": {"status": "500"}}},
        {"trace": {"kind": "block"}, "alive": True},
        {"statement": ROWS + " LIMIT 200"},
        {"statement": ROWS + " FOR UPDATE"},
        {"query": {"load": a_load("books", relation="reverse", batched=True)}},
        {"query": {"origin": an_origin(41)}},
    ],
    ids=[
        "few rows", "went out whole", "no column", "light", "failed", "still there", "limited",
        "locked", "batch", "no source",
    ],
)  # fmt: skip
def test_rows_of_which_that_is_not_certain_are_clean(judged, code, facts):
    """Unknown, or another question: nothing is said."""
    assert judged(LINES[code], READ[code], **facts) == []


@pytest.mark.parametrize("code", CODES)
def test_rows_that_were_not_looked_at_one_by_one_are_clean(judged, code):
    """An older Trace, or one of another recorder, has no numbers."""
    assert judged(LINES[code], (), read=tuple(READ[code])) == []


@pytest.mark.parametrize("code", CODES)
def test_column_read_on_some_of_the_rows_is_clean(judged, code):
    """The loop was left, or came to another line: the source says one thing, the rows another."""
    assert judged(LINES[code], {**READ[code], "price": 90}) == []


@pytest.mark.parametrize(
    ("line", "read_rows"),
    [
        (FILTER, {"price": 200, "title": 150}),
        (FILTER, {"price": 200}),
        ("return [b.title for b in ask() if fits(b)]", READ["QS302"]),
        ("return [b.title for b in ask() if b.price not in seen(b)]", READ["QS302"]),
    ],
    ids=["most kept", "only the condition read", "rule of Python", "function of the row"],
)
def test_rows_that_are_kept_are_no_filter(judged, line, read_rows):
    """Most of them are shown, or it is not known how many are."""
    assert judged(line, read_rows) == []


@pytest.mark.parametrize(
    ("line", "read_rows"),
    [
        (TOTAL, {"price": 200, "title": 3}),
        ("return sum(b.worth for b in ask())", {"price": 200}),
        ("return sum(b.price for b in ask()), list(ask())", {"price": 200, "title": 200}),
    ],
    ids=["another column read", "property", "listed, too"],
)
def test_rows_of_which_more_is_read_are_no_total(judged, line, read_rows):
    """They were needed for something else."""
    assert judged(line, read_rows) == []


def test_joined_rows_that_are_read_are_no_total(tmp_path, judged):
    """The authors leave as well."""
    judged(TOTAL, {"price": 200})
    source = Source(tmp_path, f"def view():\n    {TOTAL}\n")
    query = a_query(ROWS, rows=200, parameters=(), origin=an_origin(source.frame("ask()")))
    facts = {"rows": 200, "columns": ("id", "price"), "sizes": (8, 8)}
    reads = (
        a_read(read_rows={"price": 200}, **facts),
        a_read(path="author", model="library.Author", read=("name",), columns=("id", "name")),
    )
    assert said(a_trace(query, reads=reads), *CODES) == []
    assert len(said(a_trace(query, reads=reads[:1]), *CODES)) == 1


@pytest.mark.parametrize("vendor", QUOTED)
@pytest.mark.parametrize("code", CODES)
def test_work_left_to_python_is_found(judged, code, vendor):
    """The finding names the columns, the rows and the line."""
    statement = QUOTED[vendor]
    (finding,) = judged(LINES[code], READ[code], statement, query={"vendor": vendor})
    assert (finding.code, finding.severity) == (code, "info")
    assert "200 rows of Book" in finding.message
    assert "price" in finding.message
    assert finding.cost.rows == 200
    assert finding.subject == "library.Book: price"


@pytest.mark.parametrize(
    ("line", "framework", "write"),
    [
        (FILTER, "django", ".filter(price=...)"),
        (FILTER, "sqlalchemy", ".where(Book.price ...)"),
        (TOTAL, "django", '.aggregate(Sum("price"))'),
        (TOTAL, "sqlalchemy", "select(func.sum(Book.price))"),
        ("return sum(b.price * b.id for b in ask())", "django", ".aggregate(Sum(...))"),
        ("return len([b for b in ask() if b.price > 5])", "django", ".filter(price=...).count()"),
        (
            "return len([b for b in ask() if b.price > 5])",
            "sqlalchemy",
            "select(func.count()).select_from(Book).where(...)",
        ),
        (SORT, "django", '.order_by("price")'),
        (SORT.replace("b.price", "(b.price, b.pk)"), "django", '.order_by("price", "pk")'),
        (SORT[:-1] + ", reverse=True)", "sqlalchemy", ".order_by(Book.price.desc())"),
    ],
)  # fmt: skip
def test_mend_is_in_the_words_of_the_framework(judged, line, framework, write):
    """What to write in place of it."""
    model = "library.Book" if framework == "django" else "Book"
    read_rows = {"price": 200, "id": 200}
    if line == FILTER:
        read_rows = READ["QS302"]
    (finding,) = judged(line, read_rows, query={"model": model}, model=model)
    assert finding.mend.write == write


@pytest.mark.parametrize("code", ["QS302", "QS305"])
@pytest.mark.parametrize(
    ("rows", "kind", "severity"),
    [(999, "request", "info"), (1_000, "request", "warning"), (10_000, "request", "critical"),
     (10_000, "script", "info")],
)  # fmt: skip
def test_many_rows_are_as_grave_as_a_large_result(judged, code, rows, kind, severity):
    """QS304 leaves the line to the code that says what to do about it; so does QS301."""
    many = {name: n * rows // 200 for name, n in READ[code].items()}
    findings = judged(
        LINES[code], many, rows=rows, query={"rows": rows}, trace={"kind": kind},
        codes=(code, "QS304"), sizes=(8, 8, 9_000),
    )  # fmt: skip
    assert [(one.code, one.severity) for one in findings] == [(code, severity)]


def test_total_needs_no_advice_about_columns(judged):
    """The columns that nobody reads do not come any more, and the one field neither."""
    found = judged(TOTAL, {"price": 200}, codes=("QS301", "QS305", "QS315"), sizes=(8, 8, 9_000))
    assert [finding.code for finding in found] == ["QS305"]
    others = judged(SORT, {"price": 200}, codes=("QS301", "QS306"), sizes=(8, 8, 9_000))
    assert [finding.code for finding in others] == ["QS301", "QS306"]


@pytest.mark.parametrize("code", CODES)
def test_threshold_is_a_setting(judged, code):
    """Rows from which on it is said."""
    names = {"QS302": "filtered", "QS305": "aggregated", "QS306": "sorted"}
    chosen = {f"{names[code]}_in_python_min_rows": 201}
    (finding,) = judged(LINES[code], READ[code])
    trace = a_trace(
        a_query(ROWS, rows=200, parameters=(), origin=finding.origin),
        reads=(a_read(rows=200, columns=("id", "price", "title"), read_rows=READ[code]),),
    )
    assert said(trace, code)
    assert said(trace, code, **chosen) == []
