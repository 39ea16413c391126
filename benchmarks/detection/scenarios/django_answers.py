"""Django: what is asked twice or for nothing, and how much of it (QS2 and QS3)."""

from __future__ import annotations

from itertools import count

from django.core.paginator import Paginator
from django.db import connection, transaction
from django.db.models import Count, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Upper
from django.http import HttpResponse, JsonResponse

from benchmarks.detection.django_shelf import data
from benchmarks.detection.django_shelf.models import (
    Author,
    Book,
    Entry,
    Option,
    Publisher,
    Reading,
    Review,
    Stock,
    Tag,
)
from benchmarks.detection.scenario import dirty, innocent, repaired

# -- QS201: the same again ---------------------------------------------------------------------


@dirty("QS201", table="option")
def same_get_from_two_lines():
    first = Option.objects.get(name="option 1").value
    second = Option.objects.get(name="option 1").value
    return first + second


@repaired(same_get_from_two_lines)
def same_get_kept():
    value = Option.objects.get(name="option 1").value
    return value + value


@dirty("QS201", table="option")
def same_set_in_two_helpers():
    return _count_of_options() + len(_names_of_options())


def _count_of_options():
    return len(list(Option.objects.all()))


def _names_of_options():
    return [option.name for option in Option.objects.all()]


@repaired(same_set_in_two_helpers)
def same_set_handed_on():
    options = list(Option.objects.all())
    return len(options) + len([option.name for option in options])


@dirty("QS201", table="book")
def queryset_evaluated_twice():
    """A queryset that is made anew from its copy asks again."""
    books = Book.objects.filter(status="ready")
    titles = [book.title for book in books.all()]
    return titles, [book.price for book in books.all()]


@repaired(queryset_evaluated_twice)
def queryset_evaluated_once():
    books = Book.objects.filter(status="ready")
    titles = [book.title for book in books]
    return titles, [book.price for book in books]


@dirty("QS201", table="author")
def same_key_by_two_parents():
    """Two rows, each loads the same publisher's object by itself."""
    one, two = Book.objects.get(pk=1), Book.objects.filter(title="title 1").first()
    return one.author.name + two.author.name


@innocent("QS201", writes=True)
def read_write_read():
    before = Stock.objects.get(book_id=1).quantity
    Stock.objects.filter(book_id=1).update(quantity=9)
    return [before, Stock.objects.get(book_id=1).quantity]


@innocent("QS201")
def cached_queryset_used_twice():
    books = Book.objects.all()
    return [len(books), [book.title for book in books], bool(books)]


@innocent("QS201")
def one_table_for_three_purposes():
    return [
        Book.objects.filter(status="ready").count(),
        list(Book.objects.order_by("-price").values_list("title", flat=True)[:3]),
        Book.objects.aggregate(total=Sum("price"))["total"],
    ]


@innocent("QS201")
def length_then_iteration():
    books = Book.objects.filter(status="ready")
    return len(books), [book.title for book in books]


# -- QS202: the same in a loop -----------------------------------------------------------------


@dirty("QS202", table="option", accept=("QS201",))
def option_in_loop():
    found = []
    for book in Book.objects.order_by("pk"):  # mend
        rate = Option.objects.get(name="option 1").value  # mend
        found.append(book.price * int(rate))
    return found


@repaired(option_in_loop)
def option_before_the_loop():
    rate = Option.objects.get(name="option 1").value
    return [book.price * int(rate) for book in Book.objects.order_by("pk")]


@dirty("QS202", table="author", accept=("QS201",))
def count_of_all_in_loop():
    books = list(Book.objects.order_by("pk"))
    return [book.price / Author.objects.count() for book in books]  # mend


@repaired(count_of_all_in_loop)
def count_of_all_before_the_loop():
    count = Author.objects.count()
    return [book.price / count for book in Book.objects.order_by("pk")]


@dirty("QS202", table="tag", accept=("QS201",))
def set_in_inner_loop():
    found = []
    for book in Book.objects.order_by("pk"):  # mend
        for tag in Tag.objects.all():  # mend
            if tag.name.endswith(book.title[-1]):
                found.append((book.title, tag.name))
    return sorted(found)


@repaired(set_in_inner_loop)
def set_before_the_loop():
    tags = list(Tag.objects.all())
    found = []
    for book in Book.objects.order_by("pk"):
        for tag in tags:
            if tag.name.endswith(book.title[-1]):
                found.append((book.title, tag.name))
    return sorted(found)


@dirty("QS202", table="book", accept=("QS201",))
def permission_in_loop():
    """A permission that hangs on nothing of the row, asked through a helper."""
    return [book.pk for book in Book.objects.order_by("pk") if _allowed()]  # mend


def _allowed():
    return Option.objects.filter(name="option 1").exists()  # mend: permission_in_loop


@repaired(permission_in_loop)
def permission_before_the_loop():
    allowed = _allowed()
    return [book.pk for book in Book.objects.order_by("pk") if allowed]


@dirty("QS202", table="author", accept=("QS201",))
async def option_in_async_loop():
    found = []
    async for book in Book.objects.order_by("pk"):  # mend
        found.append(book.price + await Author.objects.acount())  # mend
    return found


@repaired(option_in_async_loop)
async def option_before_the_async_loop():
    count = await Author.objects.acount()
    return [book.price + count async for book in Book.objects.order_by("pk")]


@innocent("QS202", writes=True, also=("QS107",))
def count_after_each_write():
    counts = []
    for number in range(3):
        Entry.objects.create(text="new", number=number)
        counts.append(Entry.objects.count())
    return counts


@innocent("QS202", writes=True)
def queue_taken_one_by_one():
    """Each turn takes what the turn before has left."""
    Entry.objects.bulk_create([Entry(text="job", number=number) for number in range(3)])
    taken = []
    while (job := Entry.objects.filter(text="job").order_by("pk").first()) is not None:
        taken.append(job.number)
        job.delete()
    return taken


# -- QS203: the same set in another dress ------------------------------------------------------


@dirty("QS203", table="book", at_least=6)
def other_order():
    cheap = list(Book.objects.filter(status="ready").order_by("price"))
    named = list(Book.objects.filter(status="ready").order_by("title"))
    return [book.pk for book in cheap], [book.pk for book in named]


@repaired(other_order)
def other_order_in_python():
    cheap = list(Book.objects.filter(status="ready").order_by("price"))
    return [book.pk for book in cheap], [b.pk for b in sorted(cheap, key=lambda b: b.title)]


@dirty("QS203", table="book", at_least=6)
def other_columns():
    books = [book.title for book in Book.objects.filter(status="ready").order_by("pk")]
    prices = list(
        Book.objects.filter(status="ready").order_by("pk").values_list("price", flat=True)
    )
    return books, prices


@repaired(other_columns)
def other_columns_of_the_same_rows():
    books = list(Book.objects.filter(status="ready").order_by("pk"))
    return [book.title for book in books], [book.price for book in books]


@dirty("QS203", table="book", at_least=6)
def part_of_the_whole():
    books = list(Book.objects.filter(status="ready").order_by("pk"))
    first = list(Book.objects.filter(status="ready").order_by("pk")[:2])
    return [book.title for book in books], [book.title for book in first]


@repaired(part_of_the_whole)
def slice_of_the_whole():
    books = list(Book.objects.filter(status="ready").order_by("pk"))
    return [book.title for book in books], [book.title for book in books[:2]]


@innocent("QS203")
def two_filters():
    ready = [book.title for book in Book.objects.filter(status="ready")]
    gone = [book.title for book in Book.objects.filter(status="gone")]
    return ready, gone


@innocent("QS203")
def two_small_pages():
    newest = Book.objects.order_by("-pk")[:3]
    cheapest = Book.objects.order_by("price", "pk")[:3]
    return [book.pk for book in newest], [book.pk for book in cheapest]


# -- QS204: the answer was there ---------------------------------------------------------------


@dirty("QS204", table="author", at_least=6, accept=("QS101",), also=("QS101",))
def object_for_its_key():
    return [book.author.pk for book in Book.objects.order_by("pk")]  # mend


@repaired(object_for_its_key)
def key_of_the_row():
    return [book.author_id for book in Book.objects.order_by("pk")]


@dirty("QS204", table="book", at_least=6, accept=("QS207",))
def exists_after_the_load():
    books = Book.objects.filter(status="ready").order_by("pk")
    titles = [book.title for book in books]
    return titles, Book.objects.filter(status="ready").order_by("pk").exists()  # mend


@repaired(exists_after_the_load)
def truth_after_the_load():
    titles = [book.title for book in Book.objects.filter(status="ready").order_by("pk")]
    return titles, bool(titles)


@dirty("QS204", table="book", at_least=6, accept=("QS203",))
def row_of_a_loaded_set():
    books = list(Book.objects.order_by("pk"))
    first = Book.objects.get(pk=1)  # mend
    return [book.title for book in books], first.title


@repaired(row_of_a_loaded_set)
def row_taken_from_the_set():
    books = {book.pk: book for book in Book.objects.order_by("pk")}
    return [book.title for book in books.values()], books[1].title


@innocent("QS204")
def empty_in():
    """Django sends nothing for it."""
    return list(Book.objects.filter(pk__in=[]))


@innocent("QS204")
def exists_then_another_set():
    if Book.objects.filter(status="gone").exists():
        return []
    return [book.title for book in Book.objects.filter(status="ready")]


# -- QS205: loaded for nothing -----------------------------------------------------------------


@dirty("QS205", table="book", also=("QS201",))
def refreshed_twice():
    book = Book.objects.get(pk=1)
    book.refresh_from_db()  # mend
    book.refresh_from_db()
    return book.title


@repaired(refreshed_twice)
def not_refreshed():
    return Book.objects.get(pk=1).title


@dirty("QS205", table="book", also=("QS201",))
def loaded_and_loaded_over():
    book = Book.objects.get(pk=1)  # mend
    book = Book.objects.filter(title="title 2").first()
    return book.title


@repaired(loaded_and_loaded_over)
def loaded_once():
    return Book.objects.filter(title="title 2").first().title


@innocent("QS205", writes=True)
def refreshed_after_an_expression():
    stock = Stock.objects.get(book_id=1)
    Stock.objects.filter(book_id=1).update(quantity=8)
    stock.refresh_from_db()
    return stock.quantity


@innocent("QS205")
def read_between_two_loads():
    book = Book.objects.get(pk=1)
    title = book.title
    book.refresh_from_db()
    return [title, book.title]


# -- QS206: rows that nobody reads -------------------------------------------------------------


@dirty("QS206", table="review", at_least=6)
def set_before_the_early_return():
    """The holiday case: everything is loaded, and then there is nothing to do."""
    reviews = list(Review.objects.filter(stars__gte=1))  # mend
    closed = Option.objects.filter(name="option 1").exists()
    if closed:
        return []
    return [review.stars for review in reviews]


@repaired(set_before_the_early_return)
def early_return_first():
    if Option.objects.filter(name="option 1").exists():
        return []
    return [review.stars for review in Review.objects.filter(stars__gte=1)]


@dirty("QS206", table="author", at_least=50, accept=("QS307",))
def set_for_its_first():
    authors = list(Author.objects.order_by("pk"))  # mend
    return authors[0].name


@repaired(set_for_its_first)
def first_of_the_set():
    return Author.objects.order_by("pk").first().name


@innocent("QS206")
def set_that_is_not_evaluated():
    reviews = Review.objects.filter(stars__gte=1)
    if Option.objects.exists():
        return []
    return list(reviews)


@innocent("QS206")
def some_read_of_a_page():
    books = list(Book.objects.order_by("pk")[:20])
    return [book.title for book in books if book.price > 11]


# -- QS207: count and fetch --------------------------------------------------------------------


@dirty("QS207", table="book", at_least=6)
def count_then_all():
    books = Book.objects.filter(status="ready")
    return books.count(), [book.title for book in books]  # mend


@repaired(count_then_all)
def length_of_all():
    books = list(Book.objects.filter(status="ready"))
    return len(books), [book.title for book in books]


@dirty("QS207", table="book", at_least=6)
def exists_then_all():
    books = Book.objects.filter(status="ready").order_by("pk")
    if books.exists():  # mend
        return [book.title for book in books]  # mend
    return []


@repaired(exists_then_all)
def truth_then_all():
    books = Book.objects.filter(status="ready").order_by("pk")
    if books:
        return [book.title for book in books]
    return []


@innocent("QS207")
def count_and_page():
    page = Paginator(Book.objects.order_by("pk"), 5).page(1)
    return page.paginator.count, [book.title for book in page]


@innocent("QS207")
def exists_alone():
    return "some" if Book.objects.filter(status="ready").exists() else "none"


@innocent("QS207")
def count_alone():
    return Book.objects.filter(status="ready").count()


# -- QS209, QS210: across requests -------------------------------------------------------------


@dirty("QS209", table="option", times=12)
def configuration_of_each_request():
    """Request after request the same: one run alone cannot tell."""
    return dict(Option.objects.values_list("name", "value"))


@repaired(configuration_of_each_request)
def configuration_kept():
    if not _kept or len(_kept) != Option.objects.count():
        _kept.clear()
        _kept.update(Option.objects.values_list("name", "value"))
    return dict(_kept)


_kept: dict[str, str] = {}


@innocent("QS209", times=12)
def own_rows_of_each_request():
    """Another visitor each time."""
    number = next(_visitors) % Book.objects.count() + 1
    return Book.objects.filter(pk=number).exists()


_visitors = count()


@innocent("QS209", times=12, writes=True)
def changed_by_each_request():
    Stock.objects.filter(book_id=1).update(quantity=F("quantity") + 1)
    return Stock.objects.get(book_id=1).quantity > 5


@dirty("QS210", way="get", table="book", times=12)
def same_answer_each_time(request):
    return JsonResponse({"titles": list(Book.objects.values_list("title", flat=True))})


@repaired(same_answer_each_time)
def same_answer_with_a_validator(request):
    response = JsonResponse({"titles": list(Book.objects.values_list("title", flat=True))})
    response["Cache-Control"] = "max-age=60"
    return response


@innocent("QS210", way="get", times=12)
def answer_without_the_database(request):
    return HttpResponse("hello")


@innocent("QS210", way="get", times=12)
def answer_of_another_moment(request):
    """Each request is counted in it."""
    return JsonResponse({"books": Book.objects.count(), "answer": next(_answers)})


_answers = count()


@innocent("QS210", way="get", times=12, writes=True, also=("QS509",))
def answer_that_is_noted(request):
    Entry.objects.create(text="asked")
    return JsonResponse({"books": Book.objects.count()})


@innocent("QS210", way="get", times=12)
def answer_for_one_user(request):
    return HttpResponse(f"{request.user} {Book.objects.count()}")


# -- QS211: writes that change nothing ---------------------------------------------------------


@dirty("QS211", table="book", writes=True, also=("QS108",))
def saved_unchanged():
    book = Book.objects.get(pk=1)
    book.title = str(book.title)
    book.save()  # mend
    return book.title


@repaired(saved_unchanged)
def not_saved():
    return Book.objects.get(pk=1).title


@dirty("QS211", table="book", writes=True, at_least=6, also=("QS107", "QS108", "QS507"))
def all_saved_one_changed():
    for book in Book.objects.order_by("pk"):  # mend
        if book.pk == 1:
            book.title = "new"
        book.save()  # mend
    return list(Book.objects.order_by("pk").values_list("title", flat=True))


@repaired(all_saved_one_changed)
def one_saved():
    for book in Book.objects.order_by("pk"):
        if book.pk == 1:
            book.title = "new"
            book.save(update_fields=["title"])
    return list(Book.objects.order_by("pk").values_list("title", flat=True))


@innocent("QS211", writes=True)
def changed_and_saved():
    book = Book.objects.get(pk=1)
    book.title = "new"
    book.save(update_fields=["title"])
    return book.title


@innocent("QS211", writes=True)
def new_row_saved():
    entry = Entry(text="new")
    entry.save()
    return entry.text


# -- QS301 to QS307: volume --------------------------------------------------------------------


@dirty("QS301", relation="Book.summary", table="book", at_least=50)
def wide_column_unread():
    return [book.title for book in Book.objects.order_by("pk")]  # mend


@repaired(wide_column_unread)
def narrow_columns():
    return list(Book.objects.order_by("pk").values_list("title", flat=True))


@dirty("QS301", relation="Reading.comment", table="reading", also=("QS304", "QS303"))
def one_column_of_many_rows():
    return sorted(reading.value for reading in Reading.objects.filter(sensor__lt=20))  # mend


@repaired(one_column_of_many_rows, also=("QS304",))
def one_column_asked_for():
    return sorted(Reading.objects.filter(sensor__lt=20).values_list("value", flat=True))


@innocent("QS301")
def every_column_read():
    return [(o.pk, o.name, o.value) for o in Option.objects.order_by("pk")]


@innocent("QS301")
def one_row_of_many_columns():
    return Book.objects.get(pk=1).title


@dirty("QS302", table="reading", also=("QS301", "QS303", "QS304", "QS206"))
def filtered_after_the_fetch():
    readings = Reading.objects.filter(sensor__lt=10).order_by("pk")  # mend
    return [(r.pk, r.taken, r.comment) for r in readings if r.value == 1]


@repaired(filtered_after_the_fetch)
def filtered_by_the_database():
    readings = Reading.objects.filter(sensor__lt=10, value=1).order_by("pk")
    return [(r.pk, r.taken, r.comment) for r in readings]


@innocent("QS302", also=("QS304",))
def first_of_each_sensor():
    """What was seen before decides, and a statement does not know it."""
    seen, found = set(), []
    for reading in Reading.objects.order_by("sensor", "pk"):
        if reading.sensor not in seen:
            seen.add(reading.sensor)
            found.append((reading.sensor, reading.taken, reading.comment))
    return found


@innocent("QS302", also=("QS304",))
def chosen_by_a_rule():
    """The rule is Python's."""
    readings = Reading.objects.filter(sensor__lt=10).order_by("pk")
    return [(r.taken, r.comment) for r in readings if _is_odd_day(r.taken)]


def _is_odd_day(taken):
    return (taken // 24) % 7 == 5


@innocent("QS302")
def most_rows_kept():
    return [(b.pk, b.title) for b in Book.objects.order_by("pk") if b.price > 5]


@innocent("QS302")
def few_rows_filtered():
    return [b.title for b in Book.objects.filter(pk__lte=5) if b.cheaper_than(12)]


@dirty("QS303", table="book", times=3, between=data.more_books, writes=True)
def grows_with_the_table():
    """Nothing bounds it, and others write meanwhile."""
    return [(b.pk, b.title, b.isbn) for b in Book.objects.order_by("pk")]  # mend


@repaired(grows_with_the_table)
def bounded_pages():
    found, last = [], 0
    while page := list(Book.objects.filter(pk__gt=last).order_by("pk")[:100]):
        found += [(b.pk, b.title, b.isbn) for b in page]
        last = page[-1].pk
    return found


@innocent("QS303", times=3, between=data.more_books, writes=True)
def bounded_by_limit():
    return [(b.pk, b.title) for b in Book.objects.order_by("pk")[:20]]


@innocent("QS303", times=3, between=data.more_books, writes=True)
def bounded_by_parent():
    return [r.stars for r in Book.objects.get(pk=1).reviews.all()]


@innocent("QS303", times=3, between=data.more_books, writes=True)
def read_in_aggregate():
    return Book.objects.aggregate(total=Sum("price"))["total"]


@dirty("QS304", table="reading", also=("QS301", "QS302", "QS303", "QS305"))
def thousands_of_rows():
    return sum(r.value + r.taken + len(r.comment) for r in Reading.objects.all())  # mend


@repaired(thousands_of_rows)
def sums_of_the_database():
    from django.db.models.functions import Length

    found = Reading.objects.aggregate(v=Sum("value"), t=Sum("taken"), c=Sum(Length("comment")))
    return found["v"] + found["t"] + found["c"]


@innocent("QS304")
def hundred_rows():
    return [(r.pk, r.value) for r in Reading.objects.filter(sensor=1).order_by("pk")[:100]]


@innocent("QS304", also=("QS301",))
def thousands_of_rows_in_pages():
    total, start = 0, 0
    while page := list(Reading.objects.filter(pk__gt=start).order_by("pk")[:500]):
        total += sum(r.value for r in page)
        start = page[-1].pk
        if start > 3_000:
            break
    return bool(total)


@dirty("QS305", table="reading", also=("QS301", "QS303", "QS304"))
def summed_in_python():
    return sum(r.value for r in Reading.objects.filter(sensor__lt=25))  # mend


@repaired(summed_in_python)
def summed_by_the_database():
    return Reading.objects.filter(sensor__lt=25).aggregate(total=Sum("value"))["total"]


@dirty("QS305", table="reading", accept=("QS315",), also=("QS301", "QS303", "QS304"))
def counted_in_python():
    return len(list(Reading.objects.filter(sensor__lt=25)))  # mend


@repaired(counted_in_python)
def counted_by_the_database():
    return Reading.objects.filter(sensor__lt=25).count()


@innocent("QS305")
def summed_and_listed():
    books = list(Book.objects.order_by("pk"))
    return [b.title for b in books], sum(b.price for b in books)


@innocent("QS305", also=("QS301", "QS304"))
def totals_of_groups():
    totals = {}
    for reading in Reading.objects.filter(sensor__lt=10):
        totals[reading.sensor] = totals.get(reading.sensor, 0) + reading.value
    return totals


@innocent("QS305")
def sum_of_few():
    return sum(r.stars for r in Book.objects.get(pk=1).reviews.all())


@dirty("QS306", table="book", at_least=50, also=("QS301",))
def sorted_after_the_fetch():
    books = sorted(Book.objects.all(), key=lambda book: -book.price)  # mend
    return [(b.pk, b.title, b.price) for b in books]


@repaired(sorted_after_the_fetch, also=("QS301",))
def sorted_by_the_database():
    return [(b.pk, b.title, b.price) for b in Book.objects.order_by("-price")]


@innocent("QS306")
def rows_of_two_sets_sorted():
    one, other = Reading.objects.filter(sensor=1), Reading.objects.filter(sensor=2)
    return [(r.pk, r.comment) for r in sorted([*one, *other], key=lambda r: (r.value, r.pk))]


@innocent("QS306", also=("QS301",))
def page_in_another_order():
    latest = Reading.objects.order_by("-taken")[:100]
    return [r.taken for r in sorted(latest, key=lambda r: r.value)]


@innocent("QS306")
def few_rows_sorted():
    return [t.name for t in sorted(Book.objects.get(pk=1).tags.all(), key=lambda t: t.name)]


@innocent("QS306")
def in_the_order_it_came():
    return list(Book.objects.order_by("price").values_list("pk", flat=True))


@dirty("QS307", table="reading", also=("QS206", "QS301", "QS302", "QS303", "QS304"))
def page_cut_in_python():
    readings = list(Reading.objects.order_by("pk"))  # mend
    return [(r.sensor, r.taken) for r in readings[20:40]]


@repaired(page_cut_in_python)
def page_cut_by_the_database():
    return [(r.sensor, r.taken) for r in Reading.objects.order_by("pk")[20:40]]


@innocent("QS307")
def page_by_paginator():
    return [r.taken for r in Paginator(Reading.objects.order_by("pk"), 20).page(2)]


@innocent("QS307")
def three_of_few():
    tags = list(Book.objects.get(pk=1).tags.all())
    return len(tags), [tag.name for tag in tags[:3]], [tag.pk for tag in tags]


# -- QS308 to QS315: the shape of a statement --------------------------------------------------


@dirty("QS308", table="reading")
def deep_page():
    return [r.taken for r in Reading.objects.order_by("pk")[5_500:5_520]]  # mend


@repaired(deep_page)
def page_after_a_key():
    first = Reading.objects.order_by("pk").first().pk
    return [r.taken for r in Reading.objects.filter(pk__gte=first + 5_500).order_by("pk")[:20]]


@innocent("QS308")
def second_page():
    return [r.taken for r in Reading.objects.order_by("pk")[20:40]]


@innocent("QS308")
def first_page():
    return [r.taken for r in Reading.objects.order_by("pk")[:20]]


@dirty("QS309", table="book", at_least=6)
def page_without_order():
    return len([b.title for b in Book.objects.filter(price__gt=1)[2:4]])  # mend


@repaired(page_without_order)
def page_in_order():
    return len([b.title for b in Book.objects.filter(price__gt=1).order_by("pk")[2:4]])


@dirty("QS309", table="reading")
def page_without_total_order():
    """Fifty sensors, 120 readings of each: which come on the page is left to chance."""
    return len(list(Reading.objects.order_by("sensor")[100:120]))  # mend


@repaired(page_without_total_order)
def page_in_total_order():
    return len(list(Reading.objects.order_by("sensor", "pk")[100:120]))


@innocent("QS309")
def first_of_all():
    return Book.objects.first().pk


@innocent("QS309")
def any_one():
    """Existence: which row it is does not matter."""
    return Book.objects.filter(status="ready").exists()


@innocent("QS309")
def unique_row_with_limit():
    return list(Book.objects.filter(isbn="isbn-1")[:1])[0].title


@dirty("QS310", table="book", at_least=6)
def distinct_of_keys():
    return sorted(Book.objects.order_by("title").distinct().values_list("pk", flat=True))


@repaired(distinct_of_keys)
def plain_keys():
    return sorted(Book.objects.values_list("pk", flat=True))


@innocent("QS310")
def distinct_after_a_join():
    return sorted(Author.objects.filter(books__price__gt=1).distinct().values_list("pk", flat=True))


@innocent("QS310")
def order_that_is_shown():
    return list(Book.objects.order_by("title").values_list("title", flat=True))


@dirty("QS311", table="author")
def eight_joins():
    reviews = Review.objects.filter(  # mend
        book__author__profile__motto__gt="",
        book__tags__books__publisher__name__gt="",
        book__tags__books__reviews__stars__gt=0,
        book__editor__books__publisher__country="DE",
    )
    return bool(reviews.count() >= 0)


@repaired(eight_joins)
def one_join():
    return bool(Review.objects.filter(book__price__gt=0).count() >= 0)


@innocent("QS311")
def three_joins():
    reviews = Review.objects.select_related("book__author", "book__publisher")
    return [f"{r.stars} {r.book.author.name} {r.book.publisher.name}" for r in reviews]


@innocent("QS311")
def no_join():
    return [review.stars for review in Review.objects.all()]


@dirty("QS312", table="reading", also=("QS315", "QS317", "QS401"))
def function_on_a_column():
    return (
        Reading.objects.annotate(up=Upper("comment")).filter(up="C" * 80, value=3).count() > 0
    )  # mend


@repaired(function_on_a_column, also=("QS315", "QS401"))
def column_itself():
    return Reading.objects.filter(comment="c" * 80, value=3).count() > 0


@dirty("QS312", table="reading")
def leading_wildcard():
    return Reading.objects.filter(comment__contains="-1").count()  # mend


@repaired(leading_wildcard)
def prefix_search():
    return Reading.objects.filter(comment__startswith="-1").count()


@innocent("QS312", also=("QS401",))
def in_range():
    return Reading.objects.filter(taken__gte=10, taken__lt=20).count()


@innocent("QS312")
def or_on_one_column():
    return Reading.objects.filter(Q(sensor=1) | Q(sensor=2)).count()


@dirty("QS313", table="book", also=("QS102",))
def values_in_the_text():
    found = []
    with connection.cursor() as cursor:
        for isbn in ("isbn-1", "isbn-2"):  # mend
            cursor.execute(
                f"SELECT title FROM {Book._meta.db_table} WHERE isbn = '{isbn}' AND id > 0"
            )  # mend
            found.append(cursor.fetchall())
        cursor.execute(f"SELECT id FROM {Book._meta.db_table} WHERE id = 1")  # mend
        cursor.execute(f"SELECT id FROM {Book._meta.db_table} WHERE id = 2")  # mend
    return found


@repaired(values_in_the_text, also=("QS102",))
def values_as_parameters():
    found = []
    statement = f"SELECT title FROM {Book._meta.db_table} WHERE isbn = %s AND id > %s"
    with connection.cursor() as cursor:
        for isbn in ("isbn-1", "isbn-2"):
            cursor.execute(statement, [isbn, 0])
            found.append(cursor.fetchall())
    return found


@innocent("QS313")
def numbers_of_the_orm():
    return Book.objects.filter(price__gt=1)[:3].count()


@innocent("QS313")
def constant_of_the_statement():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {Book._meta.db_table} WHERE price > 0")
        return cursor.fetchone()


@dirty("QS314", table="reading", times=3, also=("QS109",))
def huge_list():
    keys = list(range(1, 1_501))
    return Reading.objects.filter(taken__in=keys).count()  # mend


@repaired(huge_list)
def range_for_a_list():
    return Reading.objects.filter(taken__gte=1, taken__lte=1_500).count()


@innocent("QS314")
def short_list():
    return Reading.objects.filter(taken__in=[1, 2, 3]).count()


@innocent("QS314")
def batches_of_the_orm():
    return [len(a.books.all()) for a in Author.objects.prefetch_related("books")]


@dirty("QS315", table="book", at_least=6)
def count_for_existence():
    return Book.objects.filter(status="ready").count() > 0  # mend


@repaired(count_for_existence)
def existence():
    return Book.objects.filter(status="ready").exists()


@dirty("QS315", table="reading", also=("QS301", "QS303", "QS304", "QS305"))
def length_for_existence():
    return len(Reading.objects.filter(sensor__lt=5)) > 0  # mend


@repaired(length_for_existence)
def existence_of_readings():
    return Reading.objects.filter(sensor__lt=5).exists()


@innocent("QS315")
def count_that_is_shown():
    return f"{Book.objects.filter(status='ready').count()} books"


@innocent("QS315")
def first_in_an_order_that_matters():
    return Book.objects.order_by("-price").first().title


@dirty("QS317", table="reading", at_least=6, also=("QS401",))
def subquery_where_a_join_does():
    same = Reading.objects.filter(taken=OuterRef("pk")).values("taken").annotate(n=Count("*"))
    authors = Author.objects.order_by("pk").annotate(readings=Subquery(same.values("n")))  # mend
    return [author.readings for author in authors]


@repaired(subquery_where_a_join_does, also=("QS401",))
def join_for_the_subquery():
    authors = list(Author.objects.order_by("pk").values_list("pk", flat=True))
    taken = Reading.objects.filter(taken__in=authors).values_list("taken").annotate(n=Count("*"))
    counts = dict(taken)
    return [counts.get(pk) for pk in authors]


@innocent("QS317")
def subquery_that_the_database_joins():
    dear = Book.objects.filter(price__gt=1).values("author")
    return Author.objects.filter(pk__in=dear).count()


@innocent("QS317")
def subquery_that_an_index_answers():
    same = Reading.objects.filter(pk=OuterRef("pk")).values("value")
    authors = Author.objects.order_by("pk").annotate(value=Subquery(same))
    return len([author.value for author in authors])


@innocent("QS317")
def subquery_of_few():
    return Book.objects.filter(author__in=Author.objects.filter(pk=1)).count()


@innocent("QS317", writes=True)
def counts_by_join():
    with transaction.atomic():
        return Publisher.objects.annotate(count=Count("books")).filter(count__gt=0).count()
