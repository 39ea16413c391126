"""Growth from recorded Traces: known parents, results that go along, and what does not tell."""

from __future__ import annotations

from queryscope.growth.observed import law_of, observed
from tests.builders import a_load, a_query, a_trace, some

BOOKS = 'SELECT "id" FROM "library_book"'


def books(rows, **facts):
    """Return the statement that loads the parent rows."""
    return a_query(BOOKS, rows=rows, model="library.Book", operation="iterate", origin=38, **facts)


def publishers(times, **facts):
    """Return a load for each of so many books."""
    return some(
        times,
        parameters=lambda n: (n,),
        load=lambda n: a_load(parent=n, parent_query=0),
        operation="lazy",
        model="library.Publisher",
        **facts,
    )


def lookups(times, **facts):
    """Return look-ups of which the ORM tells no parent."""
    return some(times, 'SELECT "a" FROM "b" WHERE "c" = %s', parameters=lambda n: (n,), **facts)


def of(*traces):
    """Return (law, confidence) by the number of the line that asked."""
    traces = [a_trace(*queries, id=f"t{number}") for number, queries in enumerate(traces)]
    return {item.line.place.line: (item.law, item.confidence) for item in observed(traces)}


def test_one_trace_tells_nothing_of_a_lookup():
    """A look-up once a request, or ten times: of what size, nobody knows."""
    assert of([books(9), a_query(origin=50)])[50] == ("unknown", "low")
    assert of([books(10), *lookups(10, origin=50)])[50] == ("unknown", "low")


def test_count_that_stays_while_sizes_change_is_constant():
    """One statement or twelve slots, whatever the number of books."""
    found = of(*([books(n), a_query(origin=50), *lookups(12, origin=60)] for n in (5, 20, 80)))
    assert found[50] == ("1", "high")
    assert found[60] == ("1", "high")
    assert found[38][0] == "1"


def test_sizes_that_hardly_change_tell_nothing():
    """Between nine and eleven books everything looks constant."""
    found = of(*([books(n), a_query(origin=50)] for n in (9, 10, 11)))
    assert found[50][0] == "unknown"


def test_count_that_follows_nothing_is_unknown():
    """Up and down, beside a result that rises."""
    found = of(*([books(n), *lookups(k, origin=50)] for n, k in ((5, 9), (20, 3), (80, 7))))
    assert found[50][0] == "unknown"


def test_two_sizes_that_rise_together_tell_nothing():
    """Two points lie on a line, whatever they mean."""
    found = of(*([books(n), *lookups(n, origin=50)] for n in (5, 20)))
    assert found[50] == ("unknown", "low")


def test_loads_for_each_parent_row_are_linear():
    """The ORM tells the parent rows: counts against them are proof."""
    found = of(*([books(n), *publishers(n, origin=50)] for n in (5, 20, 80)))
    assert found[50] == ("n", "high")
    assert found[38][0] == "1"


def test_loads_at_one_size_are_seen_for_what_they_are():
    """Twelve loads for twelve parent rows, in every Trace: medium, since never another size."""
    found = of(*([books(12), *publishers(12, origin=50)] for _ in range(3)))
    assert found[50] == ("n", "medium")


def test_loads_of_few_targets_at_one_size_tell_nothing():
    """Six categories of 500 books are six of 10,000, or two hundred."""
    found = of(*([books(500), *publishers(6, origin=50)] for _ in range(3)))
    assert found[50] == ("unknown", "low")


def test_lookups_that_rise_with_a_result_are_linear():
    """Three sizes and a line through them; the ORM says nothing, so it is medium."""
    found = of(*([books(n), *lookups(n, origin=50)] for n in (5, 20, 80)))
    assert found[50] == ("n", "medium")


def test_noise_of_traffic_is_borne():
    """A few books without a publisher do not change the law."""
    counts = ((5, 5), (20, 19), (80, 76), (40, 39))
    found = of(*([books(n), *publishers(k, origin=50)] for n, k in counts))
    assert found[50] == ("n", "medium")


def nested(n, m):
    """Return n shelves, their books one statement each, and m publishers for each shelf."""
    shelves = [
        a_query(
            'SELECT "id" FROM "library_book" WHERE "shelf_id" = %s',
            rows=m, parameters=(k,), origin=40, operation="lazy", model="library.Book",
            load=a_load("books", relation="reverse", owner="library.Shelf", parent=k,
                        parent_query=0),
        )
        for k in range(n)
    ]  # fmt: skip
    loads = [
        a_query(
            parameters=(k, j), origin=50, operation="lazy", model="library.Publisher",
            load=a_load(parent=k * m + j, parent_query=1 + k),
        )
        for k in range(n)
        for j in range(m)
    ]  # fmt: skip
    first = a_query('SELECT "id" FROM "library_shelf"', rows=n, model="library.Shelf", origin=38,
                    operation="iterate")  # fmt: skip
    return [first, *shelves, *loads]


def test_loop_in_a_loop_is_a_product():
    """Loads for each of m rows of each of n parents, foretold for n of the outermost."""
    traces = [a_trace(*nested(n, 3), id=f"t{n}") for n in (2, 8, 30)]
    found = {item.line.place.line: item for item in observed(traces)}
    assert {line: item.law for line, item in found.items()} == {38: "1", 40: "n", 50: "n*m"}
    assert found[50].evidence == "3 rows of library.Shelf.books for each parent"
    assert found[40].at(10_000) == 10_000
    assert found[50].at(10_000) == 30_000
    assert law_of(list(found.values())) == "n*m"


def test_page_bounds_the_rows():
    """A loop on a page is linear within the page, and says so."""
    page = f"{BOOKS} LIMIT 50"
    pages = [
        a_trace(books(n)._replace(statement=page, limit=50), *publishers(n, origin=50), id=f"t{n}")
        for n in (5, 20, 50)
    ]
    (loads, _) = observed(pages)
    assert loads.evidence.endswith("a LIMIT bounds the rows")
    assert loads.at(10_000) == 50


def test_unknown_lines_foretell_nothing():
    """Where data do not tell there is no number for 10,000 rows, and no law of the endpoint."""
    (found,) = observed([a_trace(*lookups(3))])
    assert found.at(10_000) is None
    assert law_of([found]) == "unknown"
    assert observed([]) == ()
