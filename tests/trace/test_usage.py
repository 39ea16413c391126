"""What a function does with a result, read from its source."""

from __future__ import annotations

import pytest

from queryscope.trace.usage import Use, use_of
from tests.detectors.judging import Source

TRUTH, LENGTH, PAGE = Use("truth"), Use("length"), Use("page")


def used(tmp_path, line, snippet="ask()"):
    """Return the use of a snippet in a function of some lines."""
    body = "\n    ".join(line.split("; "))
    return use_of(Source(tmp_path, f"def view():\n    {body}\n").frame(snippet))


def kind(use):
    """Return a use whether or not the result has a name."""
    return use and use._replace(named=False)


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("if ask(): pass", TRUTH),
        ("if not ask(): pass", TRUTH),
        ("if ask() > 0 and other: pass", TRUTH),
        ("return ask() == 0", TRUTH),
        ("x = 1 if ask() >= 1 else 2", TRUTH),
        ("return bool(ask())", TRUTH),
        ("if session.x(ask().scalar_one()) > 0: pass", None),
        ("if ask().scalar_one() > 0: pass", TRUTH),
        ("if (await ask()).scalar() < 1: pass", TRUTH),
        ("n = ask(); if n > 0: pass", TRUTH),
        ("n = ask(); if n: return not n", TRUTH),
        ("n = ask(); if n > 0: return n", None),
        ("if ask() > 1: pass", None),
        ("if ask() == other: pass", None),
        ("if 5 < ask(): pass", None),
        ("return ask() or 0", None),
        ("return ask()", None),
        ("use(ask())", None),
    ],
)
def test_truth_is_told_from_numbers(tmp_path, line, use):
    """Compared with zero, or as a condition, and nothing else."""
    assert kind(used(tmp_path, line)) == use


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("return len(ask())", LENGTH),
        ("return len(ask().all())", LENGTH),
        ("if len(ask()) > 0: pass", TRUTH),
        ("rows = ask(); return len(rows)", LENGTH),
        ("rows = ask(); return len(rows), rows", None),
        ("rows = ask(); for row in rows: pass", None),
    ],
)
def test_length_is_told_from_rows(tmp_path, line, use):
    """Only where the rows are used for nothing else."""
    assert kind(used(tmp_path, line)) == use


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("return ask()[:10]", PAGE),
        ("return list(ask())[start:end]", PAGE),
        ("return ask().all()[0]", PAGE),
        ("return Paginator(ask(), 25)", PAGE),
        ("return list(islice(ask(), 10))", PAGE),
        ("rows = list(ask()); return rows[a:b], len(rows)", PAGE),
        ("rows = list(ask()); return rows[a:b], rows", None),
        ("rows = list(ask()); rows = rows[a:b]; return rows", None),
        ("rows = list(ask()); return [rows[n : n + 20] for n in range(0, len(rows), 20)]", None),
        ("rows = list(ask()); for n in range(9): use(rows[n : n + 20])", None),
        ("rows = list(ask()); return rows[:2], rows[2:4]", None),
        ("rows = list(ask()); return [row for n in range(9) for row in rows[n : n + 20]]", None),
        ("rows = list(ask()); return [[row for row in rows[n : n + 20]] for n in range(9)]", None),
        ("rows = list(ask()); return lambda n: rows[n : n + 20]", None),
        ("rows = list(ask()); return [row.name for row in rows[20:40]]", PAGE),
        ("rows = list(ask()); return {row.id: row for row in rows[a:b] if row.name}", PAGE),
        ("rows = list(ask()); for row in rows[:5]: use(row)", PAGE),
        ("for shop in shops: rows = list(ask()); use(rows[:5])", PAGE),
        ("return ask()[1:]", None),
        ("return ask()[:-1]", None),
        ("return ask()[::2]", None),
        ("return ask()[key]", None),
        ("return Paginator(other, ask())", None),
    ],
)
def test_page_is_told_from_the_whole(tmp_path, line, use):
    """Cut from the front by position, and the rest is not used."""
    assert kind(used(tmp_path, line)) == use


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("return [row.name for row in ask()]", Use("field", "name")),
        ("return {row.name for row in ask().all()}", Use("field", "name")),
        ("return sum(row.total for row in ask())", Use("field", "total")),
        ("return [row.name.upper() for row in ask()]", None),
        ("return [row.name for row in ask() if row.id]", None),
        ("return [other.name for row in ask()]", None),
        ("return [row.name for row in ask() for x in y]", None),
        ("return [(row.name, row.id) for row in ask()]", None),
    ],
)
def test_one_field_is_told_from_rows(tmp_path, line, use):
    """One attribute of each, straight."""
    assert used(tmp_path, line) == use


def test_whole_comprehension_is_a_position_too(tmp_path):
    """Python 3.11 says so of an iterated queryset, and of the call of len()."""
    line = "return [row.name for row in ask()]"
    assert used(tmp_path, line, "[row.name for row in ask()]") == Use("field", "name")
    assert used(tmp_path, "return len(ask())", "len(ask())") == LENGTH
    assert used(tmp_path, "if ask(): pass", "if ask(): pass") == TRUTH
    assert used(tmp_path, "rows = ask(); if rows: pass", "if rows: pass") is None
    assert used(tmp_path, "rows = ask(); return len(rows)", "len(rows)") is None


def test_result_with_a_name_lives_on(tmp_path):
    """SQLAlchemy's identity map holds its objects that long."""
    assert used(tmp_path, "rows = ask(); return len(rows)") == Use("length", named=True)
    assert used(tmp_path, "return len(ask())") == LENGTH


def test_source_that_is_not_there_tells_nothing(tmp_path):
    """A file that cannot be read or understood, or a position without columns."""
    source = Source(tmp_path, "def view():\n    return ask()\n")
    frame = source.frame("ask()")
    assert use_of(frame._replace(file=str(tmp_path / "gone.py"))) is None
    assert use_of(frame._replace(column=0, end_column=0)) is None
    assert use_of(frame._replace(line=900, end_line=900)) is None
    broken = Source(tmp_path, "def view(:\n    ask()\n", "broken.py")
    assert use_of(broken.frame("ask()")) is None
