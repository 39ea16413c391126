"""Django: relations and columns that are loaded row by row, and prefetches that are defeated."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import sync_to_async
from django.db import connection
from django.db.models import F, Prefetch, prefetch_related_objects

from benchmarks.detection.django_shelf.models import (
    Author,
    Book,
    Disc,
    Employee,
    Note,
    Profile,
    Publisher,
    Review,
    Tag,
)
from benchmarks.detection.scenario import dirty, innocent, repaired

# -- QS101: one object of a relation -----------------------------------------------------------


@dirty("QS101", relation="Book.author", table="author")
def forward_key():
    books = Book.objects.order_by("pk")  # mend
    return [book.author.name for book in books]


@repaired(forward_key)
def forward_key_joined():
    books = Book.objects.select_related("author").order_by("pk")
    return [book.author.name for book in books]


@repaired(forward_key)
def forward_key_prefetched():
    books = Book.objects.prefetch_related("author").order_by("pk")
    return [book.author.name for book in books]


@repaired(forward_key)
def forward_key_by_values():
    return list(Book.objects.order_by("pk").values_list("author__name", flat=True))


@dirty("QS101", relation="Book.author", table="author")
def forward_key_in_for():
    names = []
    for book in Book.objects.order_by("pk"):  # mend
        names.append(book.author.name)
    return names


@dirty("QS101", relation="Book.author", table="author")
def forward_key_in_helper():
    books = Book.objects.all()  # mend
    return {_author_of(book) for book in books}


def _author_of(book):
    return book.author.name


@dirty("QS101", relation="Book.author", table="author")
def forward_key_in_property():
    return sorted(book.line for book in Book.objects.all())  # mend


@repaired(forward_key_in_property)
def forward_key_in_property_joined():
    return sorted(book.line for book in Book.objects.select_related("author"))


@dirty("QS101", relation="Book.author", table="author")
def forward_key_by_map():
    books = Book.objects.order_by("pk")  # mend
    return list(map(_author_of, books))


@dirty("QS101", relation="Book.author", table="author")
def forward_key_by_iterator():
    books = Book.objects.order_by("pk").iterator(chunk_size=100)  # mend
    return [book.author.name for book in books]


@repaired(forward_key_by_iterator)
def forward_key_by_iterator_prefetched():
    books = Book.objects.prefetch_related("author").order_by("pk").iterator(chunk_size=100)
    return [book.author.name for book in books]


@dirty("QS101", relation="Book.author", table="author")
def forward_key_twice():
    """Two relations of the same rows: each is a finding of its own; this is the first."""
    books = Book.objects.order_by("pk")  # mend
    return [f"{book.author.name} {book.publisher.name}" for book in books]


@dirty("QS101", relation="Book.publisher", table="publisher")
def forward_key_second_of_two():
    books = Book.objects.select_related("author").order_by("pk")  # mend
    return [f"{book.author.name} {book.publisher.name}" for book in books]


@repaired(forward_key_second_of_two)
def forward_keys_joined():
    books = Book.objects.select_related("author", "publisher").order_by("pk")
    return [f"{book.author.name} {book.publisher.name}" for book in books]


@dirty("QS101", relation="Book.editor", table="author", at_least=6)
def nullable_key():
    books = Book.objects.order_by("pk")  # mend
    return [book.editor and book.editor.name for book in books]


@repaired(nullable_key)
def nullable_key_joined():
    books = Book.objects.select_related("editor").order_by("pk")
    return [book.editor and book.editor.name for book in books]


@dirty("QS101", relation="Book.author", table="author")
def two_hops_first_joined():
    """The second hop is missing, and the queryset of the outer model is the one to mend."""
    reviews = Review.objects.select_related("book").order_by("pk")  # mend
    return [review.book.author.name for review in reviews]


@repaired(two_hops_first_joined)
def two_hops_joined():
    reviews = Review.objects.select_related("book__author").order_by("pk")
    return [review.book.author.name for review in reviews]


@dirty("QS101", relation="Review.book", table="book")
def two_hops():
    reviews = Review.objects.order_by("pk")  # mend
    return [review.book.author.name for review in reviews]


@dirty("QS101", relation="Profile.author", table="author", at_least=6)
def one_to_one():
    profiles = Profile.objects.order_by("pk")  # mend
    return [profile.author.name for profile in profiles]


@repaired(one_to_one)
def one_to_one_joined():
    profiles = Profile.objects.select_related("author").order_by("pk")
    return [profile.author.name for profile in profiles]


@dirty("QS101", relation="Author.profile", table="profile")
def reverse_one_to_one():
    """Every second one is missing: that costs a statement, too."""
    authors = Author.objects.order_by("pk")  # mend
    return [author.profile.motto if hasattr(author, "profile") else "" for author in authors]


@repaired(reverse_one_to_one)
def reverse_one_to_one_joined():
    authors = Author.objects.select_related("profile").order_by("pk")
    return [author.profile.motto if hasattr(author, "profile") else "" for author in authors]


@dirty("QS101", relation="Note.about", table="book", at_least=6)
def generic_key():
    notes = Note.objects.order_by("pk")  # mend
    return [str(note.about.pk) for note in notes]


@repaired(generic_key)
def generic_key_prefetched():
    notes = Note.objects.prefetch_related("about").order_by("pk")
    return [str(note.about.pk) for note in notes]


@dirty("QS101", relation="Employee.boss", table="employee", at_least=6)
def self_key_up():
    return [one.boss and one.boss.name for one in Employee.objects.order_by("pk")]  # mend


@repaired(self_key_up)
def self_key_up_joined():
    employees = Employee.objects.select_related("boss").order_by("pk")
    return [one.boss and one.boss.name for one in employees]


@dirty("QS101", relation="Employee.boss", table="employee", at_least=6)
def chain_up():
    """One row, and from each to the next: as many statements as the chain is long."""
    one = Employee.objects.order_by("-pk").first()
    names = []
    while one is not None:
        names.append(one.name)
        one = one.boss
    return names


@repaired(chain_up)
def chain_up_in_one():
    by_key = Employee.objects.in_bulk()
    one = by_key[max(by_key)]
    names = []
    while one is not None:
        names.append(one.name)
        one = by_key.get(one.boss_id)
    return names


@dirty("QS101", relation="Product.shelf", table="publisher")
def inherited_key():
    discs = Disc.objects.order_by("pk")  # mend
    return [disc.shelf.name for disc in discs]


@repaired(inherited_key)
def inherited_key_joined():
    discs = Disc.objects.select_related("shelf").order_by("pk")
    return [disc.shelf.name for disc in discs]


@dirty("QS101", relation="Product.disc", table="disc")
def child_of_parent():
    """From each row of the parent's table to its child's."""
    from benchmarks.detection.django_shelf.models import Product

    return [product.disc.minutes for product in Product.objects.order_by("pk")]  # mend


@repaired(child_of_parent)
def child_of_parent_joined():
    from benchmarks.detection.django_shelf.models import Product

    products = Product.objects.select_related("disc").order_by("pk")
    return [product.disc.minutes for product in products]


# -- QS101: many objects of a relation ---------------------------------------------------------


@dirty("QS101", relation="Author.books", table="book")
def reverse_key():
    authors = Author.objects.order_by("pk")  # mend
    return [[book.title for book in author.books.all()] for author in authors]


@repaired(reverse_key)
def reverse_key_prefetched():
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [[book.title for book in author.books.all()] for author in authors]


@repaired(reverse_key)
def reverse_key_grouped():
    titles = {}
    for book in Book.objects.order_by("pk"):
        titles.setdefault(book.author_id, []).append(book.title)
    keys = Author.objects.order_by("pk").values_list("pk", flat=True)
    return [titles.get(key, []) for key in keys]


@dirty("QS101", relation="Author.books", table="book")
def reverse_key_values():
    authors = Author.objects.order_by("pk")  # mend
    return [list(author.books.values_list("title", flat=True)) for author in authors]


@dirty("QS101", relation="Author.books", table="book")
def reverse_key_filtered():
    authors = Author.objects.order_by("pk")  # mend
    return [[book.title for book in author.books.filter(price__gt=1)] for author in authors]


@repaired(reverse_key_filtered)
def reverse_key_filtered_prefetched():
    dear = Prefetch("books", Book.objects.filter(price__gt=1), to_attr="dear")
    authors = Author.objects.prefetch_related(dear).order_by("pk")
    return [[book.title for book in author.dear] for author in authors]


@dirty("QS101", relation="Book.tags", table="tag")
def many_to_many():
    books = Book.objects.order_by("pk")  # mend
    return [len([tag.name for tag in book.tags.all()]) for book in books]


@repaired(many_to_many)
def many_to_many_prefetched():
    books = Book.objects.prefetch_related("tags").order_by("pk")
    return [len([tag.name for tag in book.tags.all()]) for book in books]


@dirty("QS101", relation="Tag.books", table="book")
def many_to_many_back():
    tags = Tag.objects.order_by("pk")  # mend
    return [sorted(book.title for book in tag.books.all()) for tag in tags]


@repaired(many_to_many_back)
def many_to_many_back_prefetched():
    tags = Tag.objects.prefetch_related("books").order_by("pk")
    return [sorted(book.title for book in tag.books.all()) for tag in tags]


@dirty("QS101", relation="Book.notes", table="note")
def generic_back():
    books = Book.objects.order_by("pk")  # mend
    return [[note.text for note in book.notes.all()] for book in books]


@repaired(generic_back)
def generic_back_prefetched():
    books = Book.objects.prefetch_related("notes").order_by("pk")
    return [[note.text for note in book.notes.all()] for book in books]


@dirty("QS101", relation="Employee.team", table="employee")
def self_key_down():
    return [len(list(one.team.all())) for one in Employee.objects.order_by("pk")]  # mend


@repaired(self_key_down)
def self_key_down_prefetched():
    employees = Employee.objects.prefetch_related("team").order_by("pk")
    return [len(list(one.team.all())) for one in employees]


@dirty("QS101", relation="Book.reviews", table="review")
def nested_collections():
    """The books of each publisher, the reviews of each book: one tree."""
    publishers = Publisher.objects.order_by("pk")  # mend
    return [
        [sum(review.stars for review in book.reviews.all()) for book in publisher.books.all()]
        for publisher in publishers
    ]


@repaired(nested_collections)
def nested_collections_prefetched():
    publishers = Publisher.objects.prefetch_related("books__reviews").order_by("pk")
    return [
        [sum(review.stars for review in book.reviews.all()) for book in publisher.books.all()]
        for publisher in publishers
    ]


@dirty("QS101", relation="Book.author", table="author")
def prefetched_without_the_inner_key():
    """The prefetched rows have a key of their own that nobody joined."""
    publishers = Publisher.objects.prefetch_related("books").order_by("pk")  # mend
    return [[book.author.name for book in one.books.all()] for one in publishers]


@repaired(prefetched_without_the_inner_key)
def prefetched_with_the_inner_key():
    publishers = Publisher.objects.prefetch_related("books__author").order_by("pk")
    return [[book.author.name for book in one.books.all()] for one in publishers]


@dirty("QS101", relation="tags", table="tag", accept=("QS102",))
def prefetch_for_each():
    """A batch of one, for each row."""
    books = list(Book.objects.order_by("pk"))  # mend
    for book in books:  # mend
        prefetch_related_objects([book], "tags")  # mend
    return [len(book.tags.all()) for book in books]


@repaired(prefetch_for_each)
def prefetch_for_all():
    books = list(Book.objects.order_by("pk"))
    prefetch_related_objects(books, "tags")
    return [len(book.tags.all()) for book in books]


@dirty("QS101", relation="Book.author", table="author")
async def forward_key_async():
    books = [book async for book in Book.objects.order_by("pk")]  # mend
    return [await sync_to_async(_author_of)(book) for book in books]


@repaired(forward_key_async)
async def forward_key_async_joined():
    return [book.author.name async for book in Book.objects.select_related("author").order_by("pk")]


@dirty("QS101", relation="Author.books", table="book")
async def reverse_key_async():
    titles = []
    async for author in Author.objects.order_by("pk"):  # mend
        titles.append([book.title async for book in author.books.all()])
    return titles


@repaired(reverse_key_async)
async def reverse_key_async_prefetched():
    titles = []
    async for author in Author.objects.prefetch_related("books").order_by("pk"):
        titles.append([book.title for book in author.books.all()])
    return titles


@dirty("QS101", relation="Author.books", table="book")
async def reverse_key_gathered():
    authors = [author async for author in Author.objects.order_by("pk")]  # mend
    return await asyncio.gather(*[_titles(author) for author in authors])


async def _titles(author):
    return [book.title async for book in author.books.all()]


@dirty("QS101", relation="Book.author", table="author", also=("QS501",))
def forward_key_in_threads():
    books = list(Book.objects.order_by("pk"))  # mend
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_author_in_thread, books))


def _author_in_thread(book):
    try:
        return book.author.name
    finally:
        connection.close()


@dirty("QS101", relation="Book.author", table="author")
def forward_key_of_second_alias():
    books = Book.objects.using("second").order_by("pk")  # mend
    return [book.author.name for book in books]


@repaired(forward_key_of_second_alias)
def forward_key_of_second_alias_joined():
    books = Book.objects.using("second").select_related("author").order_by("pk")
    return [book.author.name for book in books]


@dirty("QS101", relation="Book.author", table="author")
def forward_key_after_raw():
    books = Book.objects.raw(f"SELECT * FROM {Book._meta.db_table} ORDER BY id")  # mend
    return [book.author.name for book in books]


@dirty("QS101", relation="Book.author", table="author")
def forward_key_of_two_querysets():
    """The same line serves the rows of two querysets; both are to mend, and either will do."""
    cheap = Book.objects.filter(price__lte=12).order_by("pk")  # mend
    dear = Book.objects.filter(price__gt=12).order_by("pk")  # mend
    return [_author_of(book) for book in [*cheap, *dear]]


@dirty("QS101", relation="Book.author", table="author")
def forward_key_while_sorting():
    books = Book.objects.all()  # mend
    return [book.pk for book in sorted(books, key=lambda book: book.author.name)]


@dirty("QS101", relation="Review.book", table="book")
def forward_key_in_str():
    return [str(review) for review in Review.objects.order_by("pk")]  # mend


@dirty("QS101", relation="Book.author", table="author")
def forward_key_with_condition():
    """It is asked for only where it matters: for every row here."""
    found = []
    for book in Book.objects.order_by("pk"):  # mend
        if book.price > 5 and book.author.country == "DE":
            found.append(book.title)
    return found


@repaired(forward_key_with_condition)
def forward_key_by_filter():
    books = Book.objects.filter(price__gt=5, author__country="DE").order_by("pk")
    return list(books.values_list("title", flat=True))


# -- QS101: innocent ---------------------------------------------------------------------------


@innocent("QS101")
def key_itself():
    return [book.author_id for book in Book.objects.order_by("pk")]


@innocent("QS101")
def null_keys():
    return [book.editor for book in Book.objects.filter(editor=None)]


@innocent("QS101")
def detail_page():
    book = Book.objects.get(pk=1)
    return [book.author.name, book.publisher.name, [tag.name for tag in book.tags.all()]]


@innocent("QS101")
def relation_set_in_memory():
    authors = Author.objects.in_bulk()
    books = list(Book.objects.order_by("pk"))
    for book in books:
        book.author = authors[book.author_id]
    return [book.author.name for book in books]


@innocent("QS101")
def read_twice_from_the_cache():
    book = Book.objects.get(pk=1)
    return [book.author.name for _ in range(20)]


@innocent("QS101")
def reverse_of_prefetched_knows_its_parent():
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [book.author.name for author in authors for book in author.books.all()]


@innocent("QS101")
def prefetched_two_deep():
    authors = Author.objects.prefetch_related("books__tags", "books__reviews")
    return sum(
        len(book.tags.all()) + len(book.reviews.all()) for a in authors for book in a.books.all()
    )


@innocent("QS101")
def prefetched_to_attribute():
    ready = Prefetch(
        "books", Book.objects.filter(status="ready").select_related("publisher"), "ready"
    )
    return [
        book.publisher.name for one in Author.objects.prefetch_related(ready) for book in one.ready
    ]


@innocent("QS101")
def iterator_with_batched_prefetch():
    books = Book.objects.prefetch_related("tags").order_by("pk").iterator(chunk_size=20)
    return [len(book.tags.all()) for book in books]


@innocent("QS101")
def chunks_of_keys():
    keys = list(Book.objects.values_list("pk", flat=True))
    parts = [keys[start : start + 20] for start in range(0, len(keys), 20)]
    return [book.title for part in parts for book in Book.objects.filter(pk__in=part)]


@innocent("QS101")
def two_objects_from_two_lines():
    first = Book.objects.order_by("pk")[0]
    last = Book.objects.order_by("-pk")[0]
    return [first.author.name, last.author.name]


@innocent("QS101")
async def async_joined_and_prefetched():
    books = Book.objects.select_related("author").prefetch_related("tags")
    return [len(book.tags.all()) async for book in books]


# -- QS104: columns ----------------------------------------------------------------------------


@dirty("QS104", relation="Book.summary", table="book")
def deferred_column():
    books = Book.objects.defer("summary").order_by("pk")  # mend
    return [len(book.summary) for book in books]


@repaired(deferred_column)
def deferred_column_loaded():
    return [len(book.summary) for book in Book.objects.order_by("pk")]


@dirty("QS104", relation="Book.price", table="book")
def only_too_few():
    books = Book.objects.only("title").order_by("pk")  # mend
    return [f"{book.title} {book.price}" for book in books]


@repaired(only_too_few)
def only_enough():
    books = Book.objects.only("title", "price").order_by("pk")
    return [f"{book.title} {book.price}" for book in books]


@dirty("QS104", relation="Author.country", table="author")
def only_of_joined_rows():
    books = (
        Book.objects.select_related("author").only("title", "author__name").order_by("pk")
    )  # mend
    return [book.author.country for book in books]


@repaired(only_of_joined_rows)
def only_of_joined_rows_enough():
    books = Book.objects.select_related("author").only("title", "author__country").order_by("pk")
    return [book.author.country for book in books]


@dirty("QS104", relation="title", table="book", accept=("QS102",))
def refresh_for_each():
    books = list(Book.objects.order_by("pk"))
    for book in books:
        book.refresh_from_db(fields=["title"])
    return [book.title for book in books]


@repaired(refresh_for_each, also=("QS203",))
def refresh_by_one_statement():
    books = list(Book.objects.order_by("pk"))
    titles = dict(Book.objects.values_list("pk", "title"))
    for book in books:
        book.title = titles[book.pk]
    return [book.title for book in books]


@innocent("QS104")
def deferred_and_not_read():
    return [book.title for book in Book.objects.defer("summary").order_by("pk")]


@innocent("QS104")
def deferred_of_one_object():
    book = Book.objects.only("title").get(pk=1)
    return [book.title, len(book.summary)]


@innocent("QS104", also=("QS205",))
def refresh_until_it_is_done():
    """Polling: each answer may be another."""
    book = Book.objects.get(pk=1)
    for _ in range(4):
        book.refresh_from_db()
        if book.status == "gone":
            break
    return book.status


# -- QS105: a prefetch that is defeated --------------------------------------------------------


@dirty("QS105", relation="Author.books", table="book", also=("QS112",))
def prefetched_then_filtered():
    authors = Author.objects.prefetch_related("books").order_by("pk")  # mend
    return [
        [book.title for book in author.books.filter(status="ready")] for author in authors
    ]  # mend


@repaired(prefetched_then_filtered)
def prefetched_then_filtered_in_python():
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [[b.title for b in author.books.all() if b.status == "ready"] for author in authors]


@dirty("QS105", relation="Author.books", table="book", also=("QS112",))
def prefetched_then_ordered():
    authors = Author.objects.prefetch_related("books").order_by("pk")  # mend
    return [[book.title for book in author.books.order_by("title")] for author in authors]  # mend


@repaired(prefetched_then_ordered)
def prefetched_in_order():
    books = Prefetch("books", Book.objects.order_by("title"))
    authors = Author.objects.prefetch_related(books).order_by("pk")
    return [[book.title for book in author.books.all()] for author in authors]


@dirty("QS105", relation="Author.books", table="book", also=("QS112",))
def prefetched_then_first():
    authors = Author.objects.prefetch_related("books").order_by("pk")  # mend
    return [author.books.first().title for author in authors]  # mend


@repaired(prefetched_then_first)
def prefetched_then_first_in_python():
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [author.books.all()[0].title for author in authors]


@dirty("QS105", relation="Book.tags", table="tag", accept=("QS103",), also=("QS112",))
def prefetched_then_counted_by_filter():
    books = Book.objects.prefetch_related("tags").order_by("pk")  # mend
    return [book.tags.filter(name__startswith="tag").count() for book in books]  # mend


@repaired(prefetched_then_counted_by_filter)
def prefetched_then_counted_in_python():
    books = Book.objects.prefetch_related("tags").order_by("pk")
    return [sum(tag.name.startswith("tag") for tag in book.tags.all()) for book in books]


@dirty("QS105", relation="Author.books", table="book", also=("QS112",))
def prefetched_then_values():
    authors = Author.objects.prefetch_related("books").order_by("pk")  # mend
    return [list(author.books.values_list("title", flat=True)) for author in authors]  # mend


@repaired(prefetched_then_values)
def prefetched_then_read():
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [[book.title for book in author.books.all()] for author in authors]


@innocent("QS105")
def prefetched_then_counted():
    """``count``, ``exists`` and ``len`` read the prefetched rows."""
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [(a.books.count(), a.books.exists(), len(a.books.all())) for a in authors]


@innocent("QS105")
def prefetched_then_sliced_of_all():
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return [[book.title for book in author.books.all()[:1]] for author in authors]


@innocent("QS105", also=("QS112",))
def prefetched_and_one_filtered():
    authors = list(Author.objects.prefetch_related("books").order_by("pk"))
    names = [(author.name, len(author.books.all())) for author in authors]
    return names, authors[0].books.filter(price=F("price")).count()
