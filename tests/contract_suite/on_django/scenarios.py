"""What the Django application does: one function a scenario, a statement a line."""

# The names say what is done.
# ruff: noqa: D103

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Count, F, Max, Prefetch
from django.template import Context, Engine

import queryscope
from tests.contract_suite.on_django.models import FIRST_ID, Author, Book, Note, Profile, Tag
from tests.contract_suite.scenarios import Raised, Scenarios

SCENARIOS = Scenarios()
scenario = SCENARIOS.add
MANY = 1_000
HOSTILE = ("'; DROP TABLE contract_book; --", '"', "%s", "\\", "?", "{}", "ﷺ\u202e")

# -- relations -------------------------------------------------------------------------------


@scenario()
def forward():
    book = Book.objects.get(id=FIRST_ID)
    assert book.author.name


@scenario()
def reverse():
    author = Author.objects.get(id=FIRST_ID)
    assert [book.title for book in author.books.all()]


@scenario()
def many_to_many():
    book = Book.objects.get(id=FIRST_ID)
    assert [tag.name for tag in book.tags.all()]


@scenario()
def one_to_one():
    profile = Profile.objects.get(id=FIRST_ID)
    assert profile.author.name


@scenario()
def one_to_one_reverse():
    author = Author.objects.get(id=FIRST_ID)
    assert author.profile.text


@scenario()
def one_to_one_missing():
    author = Author.objects.using("second").get(id=FIRST_ID)
    with suppress(Profile.DoesNotExist):
        assert not author.profile


@scenario()
def generic():
    ContentType.objects.clear_cache()
    note = Note.objects.get(id=FIRST_ID)
    assert note.target.title


@scenario()
def generic_reverse():
    book = Book.objects.get(id=FIRST_ID)
    assert [note.text for note in book.notes.all()]


@scenario()
def self_reference():
    author = Author.objects.get(id=FIRST_ID + 2)
    while author.mentor is not None:
        author = author.mentor


@scenario()
def self_reference_reverse():
    author = Author.objects.get(id=FIRST_ID)
    assert [pupil.name for pupil in author.pupils.all()]


@scenario()
def deferred_column():
    book = Book.objects.defer("summary").get(id=FIRST_ID)
    assert book.summary == ""


@scenario()
def narrowed_relation():
    author = Author.objects.get(id=FIRST_ID)
    assert author.books.filter(year__gt=1999).order_by("year")[0].title


# -- verbs -----------------------------------------------------------------------------------


@scenario()
def refresh():
    book = Book.objects.get(id=FIRST_ID)
    book.refresh_from_db()


@scenario()
def get_missing():
    with suppress(Book.DoesNotExist):
        Book.objects.get(id=1)


@scenario()
def count():
    assert Book.objects.filter(year__gt=2001).count() == 4


@scenario()
def exists():
    assert Book.objects.filter(year=2001).exists()


@scenario()
def first():
    assert Book.objects.order_by("year").first()


@scenario()
def last():
    assert Book.objects.order_by("year").last()


@scenario()
def values():
    assert list(Book.objects.order_by("id").values("title", "author__name"))


@scenario()
def values_list():
    assert list(Book.objects.order_by("id").values_list("title", flat=True))


@scenario()
def iterator():
    assert [book.title for book in Book.objects.order_by("id").iterator(chunk_size=2)]


@scenario()
def raw():
    sql = "SELECT * FROM contract_book WHERE year > %s"
    assert [book.title for book in Book.objects.raw(sql, [2002])]


@scenario()
def cursor():
    with connection.cursor() as cursor:
        cursor.execute("SELECT title FROM contract_book WHERE year = %s", [2002])
        assert cursor.fetchone() == ("book 2",)


@scenario()
def aggregate():
    assert Book.objects.aggregate(latest=Max("year"))["latest"] == 2005


@scenario()
def annotate():
    authors = Author.objects.annotate(total=Count("books")).order_by("id")
    assert [author.total for author in authors]


@scenario()
def empty_result():
    assert not list(Book.objects.filter(year=1))


@scenario()
def in_bulk():
    assert len(Book.objects.in_bulk([FIRST_ID, FIRST_ID + 1])) == 2


@scenario()
def large_in_list():
    assert len(Book.objects.filter(id__in=range(FIRST_ID, FIRST_ID + 500))) == 6


@scenario()
def hostile_values():
    for text in HOSTILE:
        assert not Book.objects.filter(title=text).exists()


# -- writes ----------------------------------------------------------------------------------


@scenario(writes=True)
def create():
    Author.objects.create(name="new")


@scenario(writes=True)
def save():
    book = Book.objects.get(id=FIRST_ID)
    book.title = "other"
    book.save()


@scenario(writes=True)
def update():
    Book.objects.filter(year__gt=2002).update(year=F("year") + 1)


@scenario(writes=True)
def bulk_create():
    Tag.objects.bulk_create([Tag(name=f"new {number}") for number in range(5)])


@scenario(writes=True)
def thousand_rows():
    Tag.objects.bulk_create([Tag(name=f"new {number}") for number in range(MANY)], batch_size=250)
    assert len(Tag.objects.all()) == MANY + 3


@scenario(writes=True)
def executemany():
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO contract_tag (name) VALUES (%s)", [["one"], ["two"]])


@scenario(writes=True)
def delete_cascade():
    Author.objects.get(id=FIRST_ID + 2).delete()


@scenario(writes=True)
def get_or_create():
    _, created = Tag.objects.get_or_create(name="tag 0")
    assert not created
    _, created = Tag.objects.get_or_create(name="tag new")
    assert created


@scenario(writes=True)
def many_to_many_add():
    book = Book.objects.get(id=FIRST_ID)
    book.tags.add(FIRST_ID + 2)
    book.tags.clear()


@scenario(writes=True)
def write_then_read():
    book = Book.objects.get(id=FIRST_ID)
    Book.objects.filter(id=FIRST_ID).update(title="newer")
    assert Book.objects.get(id=FIRST_ID).title != book.title


@scenario(writes=True)
def write_in_loop():
    for book in Book.objects.order_by("id"):
        book.year += 1
        book.save(update_fields=["year"])


# -- transactions ----------------------------------------------------------------------------


@scenario(writes=True)
def savepoints():
    with transaction.atomic():
        Tag.objects.create(name="kept")
        with suppress(Raised), transaction.atomic():
            Tag.objects.create(name="lost")
            raise Raised
        with transaction.atomic():
            Tag.objects.create(name="kept too")
    assert Tag.objects.filter(name__startswith="kept").count() == 2


@scenario(writes=True)
def rolled_back():
    with suppress(Raised), transaction.atomic():
        Tag.objects.create(name="lost")
        raise Raised


@scenario(only=("postgresql", "mariadb"))
def select_for_update():
    with transaction.atomic():
        assert Book.objects.select_for_update().get(id=FIRST_ID)


# -- loops and remedies ----------------------------------------------------------------------


@scenario()
def n_plus_one():
    for book in Book.objects.order_by("id"):
        assert book.author.name


@scenario()
def n_plus_one_reverse():
    for author in Author.objects.order_by("id"):
        assert len(author.books.all()) == 2


@scenario()
def select_related():
    for book in Book.objects.select_related("author__mentor").order_by("id"):
        assert book.author.name


@scenario()
def prefetch():
    for book in Book.objects.prefetch_related("tags", "author__profile").order_by("id"):
        assert len(book.tags.all()) == 2


@scenario()
def prefetch_narrowed():
    newer = Prefetch("books", Book.objects.filter(year__gt=2002), to_attr="newer")
    for author in Author.objects.prefetch_related(newer).order_by("id"):
        assert author.newer


@scenario()
def prefetch_defeated():
    for author in Author.objects.prefetch_related("books").order_by("id"):
        assert author.books.filter(year__gt=1999).count() == 2


@scenario()
def look_up_in_loop():
    for number in range(4):
        assert Book.objects.get(id=FIRST_ID + number)


@scenario()
def count_in_loop():
    for author in Author.objects.order_by("id"):
        assert author.books.count() == 2


@scenario()
def deferred_in_loop():
    for book in Book.objects.only("title").order_by("id"):
        assert book.year


@scenario()
def duplicates():
    assert Author.objects.filter(name="author 0").count() == 1
    assert Author.objects.filter(name="author 0").count() == 1


@scenario()
def loop_invariant():
    for _ in range(4):
        assert Tag.objects.get(name="tag 0")


@scenario()
def two_callers():
    assert _titles() == _titles()


def _titles():
    return [book.title for book in Book.objects.order_by("id")]


@scenario()
def template():
    text = "{% for book in books %}\n{{ book.author.name }}\n{% endfor %}"
    Engine().from_string(text).render(Context({"books": Book.objects.order_by("id")}))


# -- failing, streamed, threaded, nested ------------------------------------------------------


@scenario()
def failing_statement():
    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM contract_missing")
    assert Book.objects.count() == 6


@scenario(writes=True)
def broken_constraint():
    with suppress(DatabaseError), transaction.atomic():
        Tag.objects.create(name="tag 0")
    assert Tag.objects.count() == 3


@scenario()
def raising():
    assert Book.objects.count()
    raise Raised("as it should")


@scenario(streams=True)
def streamed():
    assert Tag.objects.count()
    return (f"{book.title} {book.author.name}" for book in Book.objects.order_by("id"))


@scenario()
def in_thread():
    thread = threading.Thread(target=_read_and_close)
    thread.start()
    thread.join()


@scenario()
def in_thread_pool():
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            pool.submit(_read).result()
        pool.submit(connections.close_all).result()


def _read_and_close():
    _read()
    connections.close_all()


def _read():
    assert Author.objects.get(id=FIRST_ID).books.count() == 2


@scenario()
def nested():
    assert Tag.objects.count() == 3
    with queryscope.profile("inner"):
        for book in Book.objects.order_by("id"):
            assert book.author.name
    assert Author.objects.count() == 3


@scenario()
def staged():
    assert Tag.objects.count() == 3
    with queryscope.stage("availability"):
        assert Book.objects.count() == 6
        with queryscope.stage("prices"):
            assert Author.objects.count() == 3


@scenario()
def second_alias():
    book = Book.objects.using("second").get(id=FIRST_ID)
    assert book.author.name
    assert Book.objects.count() == 6


@scenario(writes=True)
def two_connections_held():
    with transaction.atomic():
        Tag.objects.create(name="first")
        with transaction.atomic(using="second"):
            Tag.objects.using("second").create(name="second")
            assert Book.objects.count() == 6


# -- the async ORM ----------------------------------------------------------------------------


@scenario(asynchronous=True)
async def async_get():
    assert await Book.objects.aget(id=FIRST_ID)


@scenario(asynchronous=True)
async def async_verbs():
    assert await Book.objects.acount() == 6
    assert await Book.objects.filter(year=2001).aexists()
    assert await Book.objects.order_by("year").afirst()
    assert await Book.objects.aaggregate(latest=Max("year"))


@scenario(asynchronous=True)
async def async_loop():
    async for book in Book.objects.order_by("id"):
        await Author.objects.aget(id=book.author_id)


@scenario(asynchronous=True)
async def async_select_related():
    books = Book.objects.select_related("author").order_by("id")
    assert [book.author.name async for book in books]


@scenario(asynchronous=True)
async def async_prefetch():
    books = Book.objects.prefetch_related("tags").order_by("id")
    assert [len(book.tags.all()) async for book in books]


@scenario(asynchronous=True)
async def async_iterator():
    assert [book.title async for book in Book.objects.order_by("id").aiterator(chunk_size=2)]


@scenario(asynchronous=True, writes=True)
async def async_writes():
    tag = await Tag.objects.acreate(name="new")
    tag.name = "newer"
    await tag.asave()
    await tag.adelete()
    await Book.objects.filter(id=FIRST_ID).aupdate(year=1)
    await Tag.objects.abulk_create([Tag(name="one"), Tag(name="two")])
    await Tag.objects.aget_or_create(name="three")


@scenario(asynchronous=True)
async def async_helper_in_thread():
    assert await sync_to_async(_read_helper)()


def _read_helper():
    return Book.objects.get(id=FIRST_ID).author.name


@scenario(asynchronous=True)
async def async_raising():
    assert await Book.objects.acount()
    raise Raised("as it should")


@scenario(asynchronous=True, streams=True)
async def async_streamed():
    assert await Tag.objects.acount()
    return _lines()


async def _lines():
    async for book in Book.objects.order_by("id"):
        author = await Author.objects.aget(id=book.author_id)
        yield f"{book.title} {author.name}"


@scenario(asynchronous=True)
async def async_nested():
    assert await Tag.objects.acount() == 3
    async with queryscope.profile("inner"):
        assert await Book.objects.acount() == 6
