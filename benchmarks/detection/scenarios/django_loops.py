"""Django: lookups, aggregates, blocks and writes in loops, and what else makes many trips."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Max, Sum
from django.db.models.signals import post_save

from benchmarks.detection.django_shelf.models import (
    Author,
    Book,
    Employee,
    Entry,
    Option,
    Publisher,
    Review,
    Stock,
    Tag,
    Ticket,
)
from benchmarks.detection.scenario import dirty, innocent, repaired

# -- QS102: lookups ----------------------------------------------------------------------------


@dirty("QS102", table="book")
def get_by_key():
    keys = Book.objects.order_by("pk").values_list("pk", flat=True)
    return [Book.objects.get(pk=key).title for key in list(keys)]  # mend


@repaired(get_by_key)
def get_by_key_in_bulk():
    keys = Book.objects.order_by("pk").values_list("pk", flat=True)
    books = Book.objects.in_bulk(list(keys))
    return [book.title for book in books.values()]


@dirty("QS102", table="author")
def get_of_another_model():
    books = list(Book.objects.order_by("pk"))
    return [Author.objects.get(pk=book.author_id).name for book in books]  # mend


@repaired(get_of_another_model)
def get_of_another_model_joined():
    return [book.author.name for book in Book.objects.select_related("author").order_by("pk")]


@dirty("QS102", table="ticket")
def get_by_uuid():
    keys = [uuid.UUID(int=number) for number in range(1, Ticket.objects.count() + 1)]
    return [Ticket.objects.get(pk=key).subject for key in keys]  # mend


@repaired(get_by_uuid)
def get_by_uuid_in_bulk():
    keys = [uuid.UUID(int=number) for number in range(1, Ticket.objects.count() + 1)]
    found = Ticket.objects.in_bulk(keys)
    return [found[key].subject for key in keys]


@dirty("QS102", table="book")
def get_by_natural_key():
    numbers = [f"isbn-{number}" for number in range(1, 1 + Author.objects.count())]
    return [Book.objects.get(isbn=number).title for number in numbers]  # mend


@repaired(get_by_natural_key)
def get_by_natural_key_in_bulk():
    numbers = [f"isbn-{number}" for number in range(1, 1 + Author.objects.count())]
    found = Book.objects.in_bulk(numbers, field_name="isbn")
    return [found[number].title for number in numbers]


@dirty("QS102", table="book")
def get_by_two_columns():
    wanted = list(Publisher.objects.order_by("pk"))
    return [Book.objects.get(publisher_id=one.pk, status="ready").title for one in wanted]  # mend


@repaired(get_by_two_columns)
def get_by_two_columns_at_once():
    wanted = [one.pk for one in Publisher.objects.order_by("pk")]
    ready = Book.objects.filter(publisher_id__in=wanted, status="ready")
    titles = {book.publisher_id: book.title for book in ready}
    return [titles[key] for key in wanted]


@dirty("QS102", table="review")
def filter_first():
    keys = range(1, 1 + Book.objects.count())
    return [Review.objects.filter(book_id=key).order_by("pk").first().stars for key in keys]  # mend


@repaired(filter_first)
def filter_first_at_once():
    keys = range(1, 1 + Book.objects.count())
    stars = {}
    for review in Review.objects.filter(book_id__in=keys).order_by("pk"):
        stars.setdefault(review.book_id, review.stars)
    return [stars[key] for key in keys]


@dirty("QS102", table="review")
def filter_in_loop():
    keys = range(1, 1 + Book.objects.count())
    found = []
    for key in keys:  # mend
        found.append([one.stars for one in Review.objects.filter(book=key).order_by("pk")])  # mend
    return found


@dirty("QS102", table="book")
def in_of_one():
    keys = range(1, 1 + Author.objects.count())
    return [list(Book.objects.filter(pk__in=[key]))[0].title for key in keys]  # mend


@repaired(in_of_one)
def in_of_all():
    keys = range(1, 1 + Author.objects.count())
    return [book.title for book in Book.objects.filter(pk__in=keys).order_by("pk")]


@dirty("QS102", table="author")
def cursor_in_loop():
    names = []
    with connection.cursor() as cursor:
        for key in range(1, 1 + Book.objects.count()):  # mend
            cursor.execute(f"SELECT name FROM {Author._meta.db_table} WHERE id = %s", [key])  # mend
            names.append(cursor.fetchone()[0])
    return names


@repaired(cursor_in_loop)
def cursor_once():
    count = Book.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name FROM {Author._meta.db_table} WHERE id BETWEEN 1 AND %s ORDER BY id",
            [count],
        )
        return [name for (name,) in cursor.fetchall()]


@dirty("QS102", table="author")
def raw_in_loop():
    text = f"SELECT * FROM {Author._meta.db_table} WHERE id = %s"
    keys = range(1, 1 + Book.objects.count())
    return [Author.objects.raw(text, [key])[0].name for key in keys]  # mend


@dirty("QS102", table="author")
def values_get_in_loop():
    books = Book.objects.order_by("pk").values("title", "author_id")
    return [
        Author.objects.values_list("name", flat=True).get(pk=one["author_id"]) for one in books
    ]  # mend


@repaired(values_get_in_loop)
def values_with_join():
    return list(Book.objects.order_by("pk").values_list("author__name", flat=True))


@dirty("QS102", table="book")
async def aget_in_loop():
    titles = []
    for key in range(1, 1 + await Author.objects.acount()):  # mend
        titles.append((await Book.objects.aget(pk=key)).title)  # mend
    return titles


@repaired(aget_in_loop)
async def ain_bulk():
    found = await Book.objects.ain_bulk(range(1, 1 + await Author.objects.acount()))
    return [book.title for _, book in sorted(found.items())]


@dirty("QS102", table="book")
async def aget_gathered():
    keys = range(1, 1 + await Author.objects.acount())
    books = await asyncio.gather(*[Book.objects.aget(pk=key) for key in keys])  # mend
    return [book.title for book in books]


@dirty("QS102", table="author", also=("QS501",))
def get_in_threads():
    count = Book.objects.count()
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_name_in_thread, range(1, 1 + count)))


def _name_in_thread(key):
    try:
        return Author.objects.get(pk=key).name  # mend: get_in_threads
    finally:
        connection.close()


@dirty("QS102", table="employee", at_least=6)
def walk_up_by_get():
    """A chain of keys, each from the row before."""
    names, key = [], Employee.objects.count()
    while key:
        one = Employee.objects.get(pk=key)
        names.append(one.name)
        key = one.boss_id
    return names


@repaired(walk_up_by_get)
def walk_up_in_memory():
    found = Employee.objects.in_bulk()
    names, key = [], max(found)
    while key:
        names.append(found[key].name)
        key = found[key].boss_id
    return names


@dirty("QS102", table="option")
def option_per_row():
    """A helper that asks for one value, called for each row."""
    return [_option(f"option {book.pk}") for book in Book.objects.order_by("pk")]  # mend


def _option(name):
    return Option.objects.get(name=name).value  # mend: option_per_row


@repaired(option_per_row)
def options_at_once():
    values = dict(Option.objects.values_list("name", "value"))
    return [values[f"option {book.pk}"] for book in Book.objects.order_by("pk")]


@innocent("QS102", also=("QS201",))
def three_options_from_three_lines():
    first = Option.objects.get(name="option 1")
    second = Option.objects.get(name="option 2")
    third = Option.objects.filter(name="option 3").first()
    return [first.value, second.value, third and third.value]


@innocent("QS102")
def retry_until_it_is_there():
    for _ in range(3):
        found = Entry.objects.filter(text="soon").first()
        if found is not None:
            return found
        time.sleep(0.001)
    return None


@innocent("QS102")
def keyset_pages():
    titles, last = [], 0
    while page := list(Book.objects.filter(pk__gt=last).order_by("pk")[:20]):
        titles += [book.title for book in page]
        last = page[-1].pk
    return titles


@innocent("QS102")
def offset_pages():
    total, start = 0, 0
    while page := list(Book.objects.order_by("pk")[start : start + 20]):
        total += len(page)
        start += 20
    return total


@innocent("QS102", writes=True)
def rows_locked_in_order():
    with transaction.atomic():
        first = Stock.objects.select_for_update().get(book_id=1)
        second = Stock.objects.select_for_update().get(book_id=2)
        first.quantity, second.quantity = 4, 6
        Stock.objects.bulk_update([first, second], ["quantity"])
    return [first.quantity, second.quantity]


@innocent("QS102")
def in_chunks():
    keys = [uuid.UUID(int=number) for number in range(1, 101)]
    parts = [keys[start : start + 50] for start in range(0, 100, 50)]
    return sum(Ticket.objects.filter(pk__in=part).count() for part in parts)


# -- QS103: aggregates -------------------------------------------------------------------------


@dirty("QS103", relation="reviews", table="review")
def count_per_row():
    books = Book.objects.order_by("pk")  # mend
    return [book.reviews.count() for book in books]


@repaired(count_per_row)
def count_annotated():
    return [b.count for b in Book.objects.annotate(count=Count("reviews")).order_by("pk")]


@repaired(count_per_row)
def count_grouped():
    counts = dict(Review.objects.values_list("book").annotate(count=Count("pk")))
    return [counts.get(key, 0) for key in Book.objects.order_by("pk").values_list("pk", flat=True)]


@dirty("QS103", relation="reviews", table="review")
def exists_per_row():
    books = Book.objects.order_by("pk")  # mend
    return [book.reviews.exists() for book in books]


@repaired(exists_per_row)
def exists_from_one_set():
    reviewed = set(Review.objects.values_list("book_id", flat=True))
    return [book.pk in reviewed for book in Book.objects.order_by("pk")]


@dirty("QS103", relation="reviews", table="review")
def aggregate_per_row():
    books = Book.objects.order_by("pk")  # mend
    return [book.reviews.aggregate(total=Sum("stars"))["total"] for book in books]


@repaired(aggregate_per_row)
def aggregate_annotated():
    return [b.total for b in Book.objects.annotate(total=Sum("reviews__stars")).order_by("pk")]


@dirty("QS103", relation="tags", table="tag")
def count_of_many_to_many_per_row():
    books = Book.objects.order_by("pk")  # mend
    return [book.tags.count() for book in books]


@dirty("QS103", table="review")
def filter_count_per_key():
    keys = Book.objects.order_by("pk").values_list("pk", flat=True)
    return [Review.objects.filter(book_id=key).count() for key in keys]  # mend


@repaired(filter_count_per_key)
def filter_count_grouped():
    counts = dict(Review.objects.values_list("book").annotate(count=Count("pk")))
    return [counts.get(key, 0) for key in Book.objects.order_by("pk").values_list("pk", flat=True)]


@dirty("QS103", relation="books", table="book")
async def acount_per_row():
    return [await author.books.acount() async for author in Author.objects.order_by("pk")]  # mend


@repaired(acount_per_row)
async def acount_annotated():
    authors = Author.objects.annotate(count=Count("books")).order_by("pk")
    return [author.count async for author in authors]


@dirty("QS103", table="review")
def cursor_count_per_key():
    counts = []
    with connection.cursor() as cursor:
        for key in range(1, 1 + Book.objects.count()):  # mend
            cursor.execute(
                f"SELECT COUNT(*) FROM {Review._meta.db_table} WHERE book_id = %s", [key]
            )  # mend
            counts.append(cursor.fetchone()[0])
    return counts


@innocent("QS103")
def three_counts_of_three_things():
    return [Book.objects.count(), Author.objects.count(), Tag.objects.count()]


@innocent("QS103")
def three_counts_of_one_table():
    ready = Book.objects.filter(status="ready").count()
    gone = Book.objects.filter(status="gone").count()
    return [ready, gone, Book.objects.filter(price__gt=10).count()]


@innocent("QS103")
def one_row_counted():
    book = Book.objects.get(pk=1)
    return [book.reviews.count(), book.tags.count()]


# -- QS106: a block that repeats ---------------------------------------------------------------


@dirty(
    "QS106",
    table="review",
    accept=("QS101", "QS102", "QS103"),
    also=("QS101", "QS102", "QS103", "QS109"),
)
def block_per_key():
    """Three statements for each key, of three tables."""
    found = []
    for key in range(1, 1 + Book.objects.count()):
        book = Book.objects.get(pk=key)
        stock = Stock.objects.get(book_id=key)
        stars = Review.objects.filter(book_id=key).aggregate(top=Max("stars"))
        found.append((book.title, stock.quantity, stars["top"]))
    return found


@repaired(block_per_key)
def block_at_once():
    books = Book.objects.select_related("stock").annotate(top=Max("reviews__stars")).order_by("pk")
    return [(book.title, book.stock.quantity, book.top) for book in books]


@dirty("QS106", table="author", accept=("QS102",), also=("QS102", "QS109"))
def block_in_helper():
    return [_described(key) for key in range(1, 1 + Book.objects.count())]


def _described(key):
    book = Book.objects.get(pk=key)
    author = Author.objects.get(pk=book.author_id)
    publisher = Publisher.objects.get(pk=book.publisher_id)
    return f"{book.title} {author.name} {publisher.name}"


@repaired(block_in_helper)
def block_in_helper_joined():
    books = Book.objects.select_related("author", "publisher").order_by("pk")
    return [f"{book.title} {book.author.name} {book.publisher.name}" for book in books]


@innocent("QS106")
def five_statements_once():
    book = Book.objects.get(pk=1)
    return [
        book.title,
        book.author.name,
        book.publisher.name,
        Tag.objects.count(),
        book.tags.count(),
    ]


@innocent("QS106")
def pages_with_their_children():
    """A page and its prefetch, again and again, twenty at a time."""
    found, last = [], 0
    while page := list(
        Book.objects.filter(pk__gt=last).prefetch_related("tags").order_by("pk")[:20]
    ):
        found += [len(book.tags.all()) for book in page]
        last = page[-1].pk
    return found


# -- QS107: writes -----------------------------------------------------------------------------


def _entries():
    return list(Entry.objects.order_by("number").values_list("text", "number"))


@dirty("QS107", table="entry", writes=True, at_least=6, also=("QS507",))
def create_in_loop():
    for number in range(1, 1 + Book.objects.count()):  # mend
        Entry.objects.create(text="new", number=number)  # mend
    return _entries()


@repaired(create_in_loop)
def create_in_bulk():
    count = Book.objects.count()
    Entry.objects.bulk_create([Entry(text="new", number=number) for number in range(1, 1 + count)])
    return _entries()


@dirty("QS107", table="stock", writes=True, at_least=6, also=("QS507",))
def save_in_loop():
    for stock in Stock.objects.order_by("pk"):  # mend
        stock.quantity = stock.book_id
        stock.save()  # mend
    return list(Stock.objects.order_by("book").values_list("quantity", flat=True))


@repaired(save_in_loop)
def update_in_bulk():
    stocks = list(Stock.objects.order_by("pk"))
    for stock in stocks:
        stock.quantity = stock.book_id
    Stock.objects.bulk_update(stocks, ["quantity"])
    return list(Stock.objects.order_by("book").values_list("quantity", flat=True))


@repaired(save_in_loop)
def update_by_expression():
    Stock.objects.update(quantity=F("book_id"))
    return list(Stock.objects.order_by("book").values_list("quantity", flat=True))


@dirty("QS107", table="review", writes=True, at_least=6, also=("QS507",))
def delete_in_loop():
    for review in Review.objects.filter(stars__gte=1):  # mend
        review.delete()  # mend
    return Review.objects.count()


@repaired(delete_in_loop)
def delete_at_once():
    Review.objects.filter(stars__gte=1).delete()
    return Review.objects.count()


@dirty("QS107", table="stock", writes=True, at_least=6, also=("QS507",))
def update_by_filter_in_loop():
    for key in range(1, 1 + Book.objects.count()):  # mend
        Stock.objects.filter(book_id=key).update(quantity=7)  # mend
    return Stock.objects.filter(quantity=7).count()


@repaired(update_by_filter_in_loop)
def update_by_filter_once():
    count = Book.objects.count()
    Stock.objects.filter(book_id__in=range(1, 1 + count)).update(quantity=7)
    return Stock.objects.filter(quantity=7).count()


@dirty("QS107", table="tags", writes=True, at_least=6, also=("QS507", "QS108", "QS101", "QS102"))
def add_in_loop():
    tag = Tag.objects.create(name="all")
    for book in Book.objects.all():  # mend
        book.tags.add(tag)  # mend
    return tag.books.count()


@repaired(add_in_loop)
def add_at_once():
    tag = Tag.objects.create(name="all")
    tag.books.add(*Book.objects.all())
    return tag.books.count()


@dirty("QS107", table="entry", writes=True, at_least=6, also=("QS507",))
def cursor_insert_in_loop():
    count = Book.objects.count()
    with connection.cursor() as cursor:
        for number in range(1, 1 + count):  # mend
            cursor.execute(  # mend
                f"INSERT INTO {Entry._meta.db_table} (text, number) VALUES (%s, %s)",
                ["new", number],
            )
    return _entries()


@repaired(cursor_insert_in_loop)
def cursor_insert_many():
    count = Book.objects.count()
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {Entry._meta.db_table} (text, number) VALUES (%s, %s)",
            [("new", number) for number in range(1, 1 + count)],
        )
    return _entries()


@dirty("QS107", table="entry", writes=True, at_least=6)
def create_in_loop_in_one_transaction():
    with transaction.atomic():
        for number in range(1, 1 + Book.objects.count()):  # mend
            Entry.objects.create(text="new", number=number)  # mend
    return _entries()


@dirty("QS107", table="entry", writes=True, at_least=6, also=("QS507",))
async def acreate_in_loop():
    for number in range(1, 1 + await Book.objects.acount()):  # mend
        await Entry.objects.acreate(text="new", number=number)  # mend
    return await Entry.objects.acount()


@repaired(acreate_in_loop)
async def abulk_create():
    count = await Book.objects.acount()
    await Entry.objects.abulk_create([Entry(text="new", number=n) for n in range(1, 1 + count)])
    return await Entry.objects.acount()


def _note_the_save(sender, instance, **more):
    Entry.objects.create(text="saved", number=instance.book_id)  # mend: signal_handler_writes


@dirty("QS107", table="entry", writes=True, at_least=6, also=("QS507",))
def signal_handler_writes():
    """What is saved is saved one by one, and so is what a signal's handler writes."""
    post_save.connect(_note_the_save, sender=Stock)
    try:
        for stock in Stock.objects.order_by("pk"):  # mend
            stock.save()  # mend
    finally:
        post_save.disconnect(_note_the_save, sender=Stock)
    return Entry.objects.count()


@repaired(signal_handler_writes)
def written_in_bulk_with_their_notes():
    stocks = list(Stock.objects.order_by("pk"))
    Stock.objects.bulk_update(stocks, ["quantity"])
    Entry.objects.bulk_create([Entry(text="saved", number=stock.book_id) for stock in stocks])
    return Entry.objects.count()


@innocent("QS107", writes=True)
def bulk_create_in_batches():
    Entry.objects.bulk_create([Entry(text="new", number=n) for n in range(300)], batch_size=50)
    return Entry.objects.count()


@innocent("QS107", writes=True, also=("QS507",))
def three_writes_of_three_things():
    Entry.objects.create(text="one")
    Option.objects.filter(name="option 1").update(value="x")
    Tag.objects.create(name="new")
    return Entry.objects.count()


@innocent("QS107", writes=True)
def savepoint_per_row_to_survive_errors():
    """Each row may be refused alone: that is what the savepoints are for."""
    refused = 0
    with transaction.atomic():
        for number in (1, 1, 2, 2, 3, 3):
            try:
                with transaction.atomic():
                    Option.objects.create(name=f"new {number}", value="x")
            except IntegrityError:
                refused += 1
    return refused


@innocent("QS107", writes=True)
def cascade_of_one_delete():
    Author.objects.get(pk=1).delete()
    return Book.objects.count()


# -- QS108: a select before each write ---------------------------------------------------------


@dirty(
    "QS108",
    table="option",
    writes=True,
    at_least=6,
    accept=("QS102", "QS107"),
    also=("QS102", "QS103", "QS106", "QS107", "QS507"),
)
def get_or_create_in_loop():
    for number in range(Book.objects.count()):  # mend
        Option.objects.get_or_create(name=f"new {number}", defaults={"value": "x"})  # mend
    return Option.objects.count()


@repaired(get_or_create_in_loop)
def created_unless_there():
    new = [Option(name=f"new {number}", value="x") for number in range(Book.objects.count())]
    Option.objects.bulk_create(new, ignore_conflicts=True)
    return Option.objects.count()


@dirty(
    "QS108",
    table="option",
    writes=True,
    at_least=6,
    also=("QS102", "QS103", "QS106", "QS107", "QS507"),
)
def exists_then_create():
    for number in range(Book.objects.count()):  # mend
        if not Option.objects.filter(name=f"new {number}").exists():  # mend
            Option.objects.create(name=f"new {number}", value="x")  # mend
    return Option.objects.count()


@repaired(exists_then_create)
def missing_ones_created():
    names = {f"new {number}" for number in range(Book.objects.count())}
    names -= set(Option.objects.filter(name__in=names).values_list("name", flat=True))
    Option.objects.bulk_create([Option(name=name, value="x") for name in sorted(names)])
    return Option.objects.count()


@dirty("QS108", table="stock", writes=True, at_least=6, also=("QS102", "QS106", "QS107", "QS507"))
def get_then_save():
    for key in range(1, 1 + Book.objects.count()):  # mend
        stock = Stock.objects.get(book_id=key)  # mend
        stock.quantity += 1
        stock.save()  # mend
    return list(Stock.objects.order_by("book").values_list("quantity", flat=True))


@repaired(get_then_save)
def added_by_expression():
    keys = range(1, 1 + Book.objects.count())
    Stock.objects.filter(book_id__in=keys).update(quantity=F("quantity") + 1)
    return list(Stock.objects.order_by("book").values_list("quantity", flat=True))


@dirty("QS108", table="stock", writes=True)
def read_modify_write_of_one_row():
    """Two requests at once, and one of the two steps is lost."""
    stock = Stock.objects.get(book_id=1)
    stock.quantity = stock.quantity - 1
    stock.save()  # mend
    return Stock.objects.get(book_id=1).quantity


@repaired(read_modify_write_of_one_row, also=("QS107",))
def written_by_expression():
    Stock.objects.filter(book_id=1).update(quantity=F("quantity") - 1)
    return Stock.objects.get(book_id=1).quantity


@innocent("QS108", writes=True)
def edited_form():
    """Load, change, save: what a form does with one row."""
    book = Book.objects.get(pk=1)
    book.title = "a new title"
    book.save()
    return book.title


@innocent("QS108", writes=True)
def one_get_or_create():
    option, made = Option.objects.get_or_create(name="new", defaults={"value": "x"})
    return [option.value, made]


@innocent("QS108", writes=True)
def locked_then_changed():
    with transaction.atomic():
        stock = Stock.objects.select_for_update().get(book_id=1)
        stock.quantity -= 1
        stock.save(update_fields=["quantity"])
    return stock.quantity


# -- QS109: one result only asks for the next --------------------------------------------------


@dirty("QS109", table="book", at_least=6)
def keys_into_the_next():
    keys = list(Author.objects.filter(country="DE").values_list("pk", flat=True))  # mend
    return Book.objects.filter(author_id__in=keys).count()  # mend


@repaired(keys_into_the_next)
def keys_in_a_subquery():
    return Book.objects.filter(author__country="DE").count()


@dirty("QS109", table="review", at_least=6)
def three_in_a_chain():
    authors = list(Author.objects.filter(country="DE").values_list("pk", flat=True))  # mend
    books = list(Book.objects.filter(author_id__in=authors).values_list("pk", flat=True))  # mend
    return sorted(r.stars for r in Review.objects.filter(book_id__in=books))  # mend


@repaired(three_in_a_chain)
def three_joined():
    reviews = Review.objects.filter(book__author__country="DE")
    return sorted(review.stars for review in reviews)


@innocent("QS109")
def keys_that_are_shown_too():
    authors = list(Author.objects.filter(country="DE").order_by("pk"))
    books = Book.objects.filter(author_id__in=[author.pk for author in authors])
    return [author.name for author in authors], len(books)


@innocent("QS109")
def prefetch_is_a_chain():
    return [len(author.books.all()) for author in Author.objects.prefetch_related("books")]


# -- QS110: independent statements one after the other -----------------------------------------


def _slow(name):
    """Ask something that takes a while, of a table of its own."""
    with connection.cursor() as cursor:
        cursor.execute(_SLOW[connection.vendor].format(table=name._meta.db_table))
        return cursor.fetchone()[0]


_SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) "
    "SELECT count(*) + 0 * (SELECT count(*) FROM {table}) FROM n",
    "postgresql": "SELECT count(*) FROM {table} WHERE pg_sleep(0.08) IS NOT NULL AND id = 1",
    "mysql": "SELECT count(*) FROM {table} WHERE id = 1 AND SLEEP(0.08) = 0",
}


@dirty("QS110", also=("QS404",))
def independent_one_after_the_other():
    return [bool(_slow(Book)), bool(_slow(Author)), bool(_slow(Publisher))]


@repaired(independent_one_after_the_other, also=("QS404", "QS501"))
def independent_together():
    with ThreadPoolExecutor(3) as pool:
        return [bool(one) for one in pool.map(_slow_in_thread, [Book, Author, Publisher])]


def _slow_in_thread(name):
    try:
        return _slow(name)
    finally:
        connection.close()


@innocent("QS110")
def independent_and_fast():
    return [Book.objects.count(), Author.objects.count(), Publisher.objects.count()]


@innocent("QS110")
def one_needs_the_other():
    book = Book.objects.order_by("pk").first()
    author = Author.objects.get(pk=book.author_id)
    return [book.title, author.name, author.books.count()]


# -- QS111: too many statements ----------------------------------------------------------------


@dirty("QS111", at_least=50, also=("QS102", "QS201"))  # [:1] and first() are one SELECT
def chatty():
    """Each statement has a reason of its own; together they are too many."""
    total = 0
    for model in (Book, Author, Publisher, Tag, Review, Stock, Option, Ticket, Employee, Entry):
        total += model.objects.count()
        total += model.objects.filter(pk__isnull=True).count()
        total += len(model.objects.order_by("pk")[:1])
        total += len(model.objects.order_by("-pk")[:1])
        total += model.objects.exclude(pk__isnull=False).exists()
        total += len(model.objects.order_by("pk").values_list("pk")[:2])
        total += len(model.objects.order_by("pk").values("pk")[1:2])
        total += model.objects.aggregate(top=Count("pk"))["top"]
        total += bool(model.objects.order_by("pk").first())
        total += bool(model.objects.order_by("pk").last())
        total += model.objects.distinct().count()
    return total


@repaired(chatty)
def quiet():
    """The same numbers from one statement of each table."""
    total = 0
    for model in (Book, Author, Publisher, Tag, Review, Stock, Option, Ticket, Employee, Entry):
        count = model.objects.count()
        total += count * 3 + min(count, 1) * 4 + min(count, 2) + min(max(count - 1, 0), 1)
    return total


@innocent("QS111")
def ten_statements():
    models = Book, Author, Publisher, Tag, Review, Stock, Option, Ticket
    return [model.objects.count() for model in models]


@innocent("QS111")
def one_statement():
    return Book.objects.count()


# -- QS112: eager loads that nobody reads ------------------------------------------------------


@dirty("QS112", relation="Book.tags", table="tag", at_least=6)
def prefetched_in_vain():
    return [book.title for book in Book.objects.prefetch_related("tags").order_by("pk")]  # mend


@repaired(prefetched_in_vain)
def nothing_prefetched():
    return [book.title for book in Book.objects.order_by("pk")]


@dirty("QS112", relation="Book.author", table="author", at_least=6)
def joined_in_vain():
    return [book.title for book in Book.objects.select_related("author").order_by("pk")]  # mend


@repaired(joined_in_vain)
def nothing_joined():
    return [book.title for book in Book.objects.order_by("pk")]


@innocent("QS112")
def prefetched_and_read():
    return [len(book.tags.all()) for book in Book.objects.prefetch_related("tags")]


@innocent("QS112")
def joined_and_read_for_some():
    books = Book.objects.select_related("author").order_by("pk")
    return [book.author.name for book in books if book.price > 11]


# -- QS113: two collections multiply each other ------------------------------------------------


@dirty("QS113", table="review", at_least=6)
def two_collections_in_one_join():
    rows = Publisher.objects.order_by("pk").values_list(  # mend
        "name", "books__tags__name", "books__reviews__text", "books__tags__books__title"
    )
    return sorted({name for name, *_ in rows})


@repaired(two_collections_in_one_join)
def two_collections_apart():
    one = Publisher.objects.prefetch_related("books__tags", "books__reviews")
    for publisher in one:
        for book in publisher.books.all():
            assert len(book.tags.all()) <= len(book.reviews.all())
    return sorted(publisher.name for publisher in one)


@dirty("QS113", table="tag", at_least=50)
def two_links_in_one_join():
    rows = Author.objects.order_by("pk").values_list(  # mend
        "name", "books__tags__name", "edited__tags__name"
    )
    return sorted({name for name, *_ in rows})


@repaired(two_links_in_one_join)
def two_links_apart():
    authors = Author.objects.prefetch_related("books__tags", "edited__tags")
    return sorted(a.name for a in authors if len(a.books.all()) >= 0 <= len(a.edited.all()))


@innocent("QS113")
def links_in_a_row():
    rows = Author.objects.order_by("pk").values_list("books__tags__books__tags__name", "name")
    return len(list(rows))


@innocent("QS113")
def links_beside_one_row():
    rows = Author.objects.order_by("pk").values_list("profile__motto", "books__tags__name")
    return len(list(rows))


@innocent("QS113")
def one_collection_joined():
    return len(list(Book.objects.order_by("pk").values_list("title", "reviews__stars")))


@innocent("QS113")
def two_keys_joined():
    return [
        b.author.name + b.publisher.name for b in Book.objects.select_related("author", "publisher")
    ]


# -- QS114: the other way to load eagerly were cheaper -----------------------------------------


@dirty("QS114", relation="Review.book", table="book", at_least=6)
def wide_parent_joined_to_many_rows():
    """Each of the many rows brings its parent's long text along again."""
    book = Book.objects.get(pk=1)
    Review.objects.bulk_create([Review(book=book, stars=3) for _ in range(400)])
    try:
        reviews = Review.objects.select_related("book").filter(book=book, stars=3)  # mend
        return len([review.book.summary for review in reviews]) >= 400
    finally:
        Review.objects.filter(book=book, text="").delete()


@repaired(wide_parent_joined_to_many_rows)
def wide_parent_prefetched():
    book = Book.objects.get(pk=1)
    Review.objects.bulk_create([Review(book=book, stars=3) for _ in range(400)])
    try:
        reviews = Review.objects.prefetch_related("book").filter(book=book, stars=3)
        return len([review.book.summary for review in reviews]) >= 400
    finally:
        Review.objects.filter(book=book, text="").delete()


@innocent("QS114")
def narrow_parent_joined():
    return [review.book.author.name for review in Review.objects.select_related("book__author")]


@innocent("QS114")
def own_parents_joined():
    return [book.author.name for book in Book.objects.select_related("author")]
