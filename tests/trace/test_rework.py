"""What a function does to the rows of a result that the database could have done."""

from __future__ import annotations

import pytest

from queryscope.trace.rework import rework_of
from tests.detectors.judging import Source


def done(tmp_path, text, snippet="ask()"):
    """Return (kind, columns, verb) of a snippet in a function; ``;`` and ``|`` break its lines."""
    body = text.replace("; ", "\n    ").replace("|", "\n        ")
    source = Source(tmp_path, f"def view(n, given):\n    {body}\n")
    found = rework_of(source.frame(snippet))
    return found and (found.kind, found.columns, found.verb)


@pytest.mark.parametrize(
    "text",
    [
        # what the database cannot be told by a column and a value
        "return [b.title for b in ask() if fits(b)]",
        "return [b.title for b in ask() if b.fits()]",
        "return [b.title for b in ask() if b.author.name == n]",
        "return [b.title for b in ask() if b.title.startswith(n)]",
        "return [b.title for b in ask() if random() == b.x]",
        "return [b.title for b in ask() if n]",
        "return [b.title for b in ask()]",
        "return [b for a, b in ask() if a == 1]",
        "return [c for b in other for c in ask() if c.x == b.x]",
        "return list(filter(fits, ask()))",
        "return list(filter(None, ask()))",
        # rows that are used otherwise as well, or are not those of this result alone
        "rows = ask(); return rows, [b for b in rows if b.x == 1]",
        "rows = ask(); rest = [b for b in rows if b.x]; return rest, [b for b in rows if not b.x]",
        "rows = ask(); keep(rows); return [b for b in rows if b.x == 1]",
        "rows = ask(); rows = [b for b in rows if b.x == 1]; return rows",
        "rows = ask(); return [[b for b in rows if b.x == a.x] for a in given]",
        "rows = ask(); for a in given:|a.b = [b for b in rows if b.x == a.x]",
        "rows = ask(); find = lambda a: [b for b in rows if b.x == a]; return find",
        "return [b for b in ask() + given if b.x == 1]",
        # loops that do more, or whose condition changes from row to row
        "for b in ask():|use(b)",
        "for b in ask():|if b.x == 1: found.append(b)|use(b)",
        "for b in ask():|if b.x not in seen: seen.add(b.x)",
        "for b in ask():|if b.x == last: continue|last = b.x",
        "for b in ask():|if b.x == 1: a(b)|else: c(b)",
    ],
)
def test_rows_that_only_python_can_choose_are_no_filter(tmp_path, text):
    """A function of the row, another use of the rows, or a condition of more than a row."""
    assert done(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("return [b.title for b in ask() if b.x == 1]", ("x",)),
        ("return {b.pk: b for b in ask().all() if not b.gone}", ("gone",)),
        ("return [b for b in ask() if b.x > n and (b.y in given.y or b.z)]", ("x", "y", "z")),
        ("return list(b for b in ask() if n <= b.x < 5)", ("x",)),
        ("rows = list(ask()); return [b for b in rows if b.x == 1]", ("x",)),
        ("rows = ask().all(); for b in rows:|if b.x == 1: found.append(b)", ("x",)),
        ("for b in ask():|if b.x != n: continue|found.append(b)", ("x",)),
        ("return list(filter(lambda b: b.x == 1, ask()))", ("x",)),
        ("rows = ask(); return [b.y for b in filter(lambda b: b.x == 1, rows)]", ("x",)),
        ("for a in given:|rows = ask()|found = [b for b in rows if b.x == a.x]", ("x",)),
    ],
)  # fmt: skip
def test_condition_on_columns_is_a_filter(tmp_path, text, columns):
    """Comparisons of attributes with what does not depend on the row."""
    assert done(tmp_path, text) == ("filter", columns, "")


@pytest.mark.parametrize(
    "text",
    [
        "return sum(b.total() for b in ask())",
        "return sum(len(b.title) for b in ask())",
        "return sum((b.x for b in ask()), n)",
        "return sum({b.x for b in ask()})",
        "return sum(ask())",
        "return len(ask())",
        "return len([b for b in ask()])",
        "return max(ask(), key=lambda b: b.x)",
        "return max(n, max(b.x for b in other), ask())",
        "rows = ask(); return sum(b.x for b in rows), [b.y for b in rows]",
        "rows = ask(); return sum(b.x for b in rows) if rows else None",
        "for b in ask():|total += b.x|names.append(b.y)",
        "for b in ask():|found += [b.x]",
        "for b in ask():|totals[b.y] += b.x",
    ],
)
def test_value_that_needs_the_rows_is_no_total(tmp_path, text):
    """A method of the row, a start value, groups, or the rows themselves beside it."""
    assert done(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "columns", "verb"),
    [
        ("return sum(b.x for b in ask())", ("x",), "Sum"),
        ("return max([b.x * b.y - 1 for b in ask().all()])", ("x", "y"), "Max"),
        ("return statistics.fmean(b.x for b in ask())", ("x",), "Avg"),
        ("return len([b for b in ask() if b.x == n])", ("x",), "Count"),
        ("return sum(1 for b in ask() if b.x == n)", ("x",), "Sum"),
        ("rows = ask(); return min(b.x for b in rows), max(b.y for b in rows)", ("x", "y"), "Min"),
        ("for b in ask():|total += b.x|many += 1", ("x",), "Sum"),
        ("for b in ask():|if b.y == 1: total += b.x", ("y", "x"), "Sum"),
    ],
)
def test_number_of_columns_is_a_total(tmp_path, text, columns, verb):
    """All that leaves is one value, or several of the same rows."""
    assert done(tmp_path, text) == ("total", columns, verb)


@pytest.mark.parametrize(
    "text",
    [
        "return sorted(ask())",
        "rows = ask(); rows = sorted(rows, key=rank); return rows",
        "return sorted(ask(), key=rank)",
        "return sorted(ask(), key=lambda b: b.title.lower())",
        "return sorted(ask(), key=lambda b: b.author.name)",
        "return sorted(ask(), key=lambda b: (b.x, -b.y))",
        "return sorted(ask(), key=lambda b: b.x, reverse=n)",
        "return sorted(list(ask()) + given, key=lambda b: b.x)",
        "return sorted(chain(ask(), given), key=lambda b: b.x)",
        "return sorted([*ask(), *given], key=lambda b: b.x)",
        "return sorted((b.x for b in ask()), key=lambda x: x.y)",
        "rows = list(ask()); rows.extend(given); rows.sort(key=lambda b: b.x); return rows",
        "rows = list(ask()); rows += given; rows.sort(key=lambda b: b.x)",
        "rows = ask(); return sorted(rows, key=lambda b: b.x), sorted(rows, key=lambda b: b.y)",
        "rows = list(ask()); fill(rows); rows.sort(key=lambda b: b.x)",
    ],
)  # fmt: skip
def test_order_that_no_column_gives_is_no_sort(tmp_path, text):
    """A computed key, rows of two results, two orders of the same rows."""
    assert done(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "columns", "verb"),
    [
        ("return sorted(ask(), key=lambda b: b.x)", ("x",), ""),
        ("return sorted(ask().all(), key=lambda b: -b.x)[:5]", ("x",), "-"),
        ("return sorted(ask(), key=attrgetter('x', 'y'), reverse=True)", ("x", "y"), "-"),
        ("rows = list(ask()); rows.sort(key=lambda b: (b.x, b.y)); return rows", ("x", "y"), ""),
        ("rows = ask(); rows = sorted(rows, key=lambda b: b.x); return rows", ("x",), ""),
        ("rows = ask(); use(len(rows)); return sorted(rows, key=lambda b: b.x or 0)", ("x",), ""),
    ],
)
def test_key_of_columns_is_a_sort(tmp_path, text, columns, verb):
    """Whatever else is done with the rows: the order does not hurt."""
    assert done(tmp_path, text) == ("sort", columns, verb)


LEFT_OUT = "rows = books.all(); return [b for b in rows if b.x == 1]"
ADDED = "return sum(b.x for b in books.all())"
SORTED = "return sorted(books.all(), key=lambda b: b.x)"


@pytest.mark.parametrize(
    ("text", "snippet", "kind"),
    [
        (LEFT_OUT, "[b for b in rows if b.x == 1]", "filter"),
        (ADDED, "(b.x for b in books.all())", "total"),
        (ADDED, "books.all()", "total"),
        (SORTED, "sorted(books.all(), key=lambda b: b.x)", "sort"),
        ("rows = sorted(books.all(), key=lambda b: b.x); return rows", "books.all()", "sort"),
        ("return [b for b in books if b.x == 1]", "[b for b in books if b.x == 1]", None),
        ("return [b for b in given if b.x == 1]", "[b for b in given if b.x == 1]", None),
    ],
)
def test_queryset_is_followed_to_where_it_is_evaluated(tmp_path, text, snippet, kind):
    """Python 3.11 tells the whole comprehension, later versions what it iterates."""
    found = done(tmp_path, text, snippet)
    assert (found and found[0]) == kind


def test_place_without_source_is_no_answer(tmp_path):
    """A file that is gone, and code without column numbers."""
    source = Source(tmp_path, "def view():\n    return [b for b in ask() if b.x]\n")
    frame = source.frame("ask()")
    assert rework_of(frame._replace(file="/gone.py")) is None
    assert rework_of(frame._replace(end_line=frame.line, end_column=frame.column)) is None
