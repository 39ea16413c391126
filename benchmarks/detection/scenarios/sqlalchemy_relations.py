"""SQLAlchemy: relations and columns that are loaded row by row."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict
from sqlalchemy import inspect, select
from sqlalchemy.orm import (
    contains_eager,
    defer,
    joinedload,
    load_only,
    raiseload,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
    with_polymorphic,
)

from benchmarks.detection.scenario import dirty, innocent, repaired
from benchmarks.detection.sqlalchemy_shelf.data import AsyncSession, Session
from benchmarks.detection.sqlalchemy_shelf.models import (
    Author,
    Book,
    Disc,
    Employee,
    Product,
    Profile,
    Publisher,
    Review,
    Tag,
)

# -- QS101: one object of a relation -----------------------------------------------------------


@dirty("QS101", relation="Book.author", table="author")
def many_to_one():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [book.author.name for book in books]


@repaired(many_to_one)
def many_to_one_joined():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        return [book.author.name for book in session.scalars(statement)]


@repaired(many_to_one)
def many_to_one_select_in():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.author)).order_by(Book.id)
        return [book.author.name for book in session.scalars(statement)]


@repaired(many_to_one)
def many_to_one_by_columns():
    with Session() as session:
        return list(session.scalars(select(Author.name).join(Book.author).order_by(Book.id)))


@dirty("QS101", relation="Book.author", table="author")
def many_to_one_in_for():
    names = []
    with Session() as session:
        for book in session.scalars(select(Book).order_by(Book.id)):  # mend
            names.append(book.author.name)
    return names


@dirty("QS101", relation="Book.author", table="author")
def many_to_one_in_helper():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [_author_of(book) for book in books]


def _author_of(book):
    return book.author.name


@dirty("QS101", relation="Book.author", table="author")
def many_to_one_in_hybrid():
    with Session() as session:
        return [book.line for book in session.scalars(select(Book).order_by(Book.id)).all()]  # mend


@repaired(many_to_one_in_hybrid)
def many_to_one_in_hybrid_joined():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        return [book.line for book in session.scalars(statement).all()]


@dirty("QS101", relation="Book.author", table="author")
def legacy_query():
    with Session() as session:
        books = session.query(Book).order_by(Book.id).all()  # mend
        return [book.author.name for book in books]


@repaired(legacy_query)
def legacy_query_joined():
    with Session() as session:
        books = session.query(Book).options(joinedload(Book.author)).order_by(Book.id).all()
        return [book.author.name for book in books]


@dirty("QS101", relation="Book.publisher", table="publisher")
def second_of_two_keys():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)  # mend
        books = session.scalars(statement).all()  # mend
        return [f"{book.author.name} {book.publisher.name}" for book in books]


@repaired(second_of_two_keys)
def both_keys():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author), joinedload(Book.publisher))
        books = session.scalars(statement.order_by(Book.id)).all()
        return [f"{book.author.name} {book.publisher.name}" for book in books]


@dirty("QS101", relation="Book.author", table="author")
def two_hops_first_joined():
    with Session() as session:
        statement = select(Review).options(joinedload(Review.book)).order_by(Review.id)  # mend
        return [review.book.author.name for review in session.scalars(statement).all()]  # mend


@repaired(two_hops_first_joined)
def two_hops_joined():
    with Session() as session:
        path = joinedload(Review.book).joinedload(Book.author)
        statement = select(Review).options(path).order_by(Review.id)
        return [review.book.author.name for review in session.scalars(statement).all()]


@dirty("QS101", relation="Profile.author", table="author", at_least=6)
def one_to_one():
    with Session() as session:
        profiles = session.scalars(select(Profile).order_by(Profile.id)).all()  # mend
        return [profile.author.name for profile in profiles]


@repaired(one_to_one)
def one_to_one_joined():
    with Session() as session:
        statement = select(Profile).options(joinedload(Profile.author)).order_by(Profile.id)
        return [profile.author.name for profile in session.scalars(statement)]


@dirty("QS101", relation="Author.profile", table="profile")
def reverse_one_to_one():
    with Session() as session:
        authors = session.scalars(select(Author).order_by(Author.id)).all()  # mend
        return [author.profile.motto if author.profile else "" for author in authors]


@repaired(reverse_one_to_one)
def reverse_one_to_one_joined():
    with Session() as session:
        statement = select(Author).options(joinedload(Author.profile)).order_by(Author.id)
        return [a.profile.motto if a.profile else "" for a in session.scalars(statement)]


@dirty("QS101", relation="Employee.team", table="employee")
def self_key_down():
    with Session() as session:
        employees = session.scalars(select(Employee).order_by(Employee.id)).all()  # mend
        return [len(one.team) for one in employees]


@repaired(self_key_down)
def self_key_down_select_in():
    with Session() as session:
        statement = select(Employee).options(selectinload(Employee.team)).order_by(Employee.id)
        return [len(one.team) for one in session.scalars(statement)]


@dirty("QS101", relation="Employee.boss", table="employee", at_least=6)
def chain_up():
    """One row, and from each to the next: as many statements as the chain is long."""
    with Session() as session:
        one = session.scalars(select(Employee).order_by(Employee.id.desc()).limit(1)).one()
        names = []
        while one is not None:
            names.append(one.name)
            one = one.boss
        return names


@repaired(chain_up)
def chain_up_in_memory():
    with Session() as session:
        found = {one.id: one for one in session.scalars(select(Employee))}
        one, names = found[max(found)], []
        while one is not None:
            names.append(one.name)
            one = found.get(one.boss_id)
        return names


# -- QS101: collections ------------------------------------------------------------------------


@dirty("QS101", relation="Author.books", table="book")
def collection():
    with Session() as session:
        authors = session.scalars(select(Author).order_by(Author.id)).all()  # mend
        return [[book.title for book in author.books] for author in authors]


@repaired(collection)
def collection_select_in():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)
        return [[book.title for book in author.books] for author in session.scalars(statement)]


@repaired(collection)
def collection_joined():
    with Session() as session:
        statement = select(Author).options(joinedload(Author.books)).order_by(Author.id)
        return [[b.title for b in author.books] for author in session.scalars(statement).unique()]


@repaired(collection)
def collection_by_subquery():
    with Session() as session:
        statement = select(Author).options(subqueryload(Author.books)).order_by(Author.id)
        return [[book.title for book in author.books] for author in session.scalars(statement)]


@dirty("QS101", relation="Book.tags", table="tag")
def secondary():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [[tag.name for tag in book.tags] for book in books]


@repaired(secondary)
def secondary_select_in():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.tags)).order_by(Book.id)
        return [[tag.name for tag in book.tags] for book in session.scalars(statement)]


@dirty("QS101", relation="Tag.books", table="book")
def secondary_back():
    with Session() as session:
        tags = session.scalars(select(Tag).order_by(Tag.id)).all()  # mend
        return [len(tag.books) for tag in tags]


@repaired(secondary_back)
def secondary_back_select_in():
    with Session() as session:
        statement = select(Tag).options(selectinload(Tag.books)).order_by(Tag.id)
        return [len(tag.books) for tag in session.scalars(statement)]


@dirty("QS101", relation="Book.reviews", table="review")
def nested_collections():
    with Session() as session:
        publishers = session.scalars(select(Publisher).order_by(Publisher.id)).all()  # mend
        return [[len(book.reviews) for book in one.books] for one in publishers]


@repaired(nested_collections)
def nested_collections_select_in():
    with Session() as session:
        path = selectinload(Publisher.books).selectinload(Book.reviews)
        publishers = session.scalars(select(Publisher).options(path).order_by(Publisher.id))
        return [[len(book.reviews) for book in one.books] for one in publishers]


@dirty("QS101", relation="Book.author", table="author")
def select_in_without_the_inner_key():
    with Session() as session:
        statement = select(Publisher).options(selectinload(Publisher.books))  # mend
        publishers = session.scalars(statement.order_by(Publisher.id)).all()  # mend
        return [[book.author.name for book in one.books] for one in publishers]


@repaired(select_in_without_the_inner_key)
def select_in_with_the_inner_key():
    with Session() as session:
        path = selectinload(Publisher.books).joinedload(Book.author)
        publishers = session.scalars(select(Publisher).options(path).order_by(Publisher.id))
        return [[book.author.name for book in one.books] for one in publishers]


@dirty("QS101", relation="some_books", table="book", accept=("QS102",))
def dynamic_relation():
    with Session() as session:
        authors = session.scalars(select(Author).order_by(Author.id)).all()  # mend
        return [[book.title for book in author.some_books] for author in authors]  # mend


@repaired(dynamic_relation)
def dynamic_relation_as_plain_one():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)
        return [[book.title for book in author.books] for author in session.scalars(statement)]


@dirty("QS101", relation="books", table="book", accept=("QS102",))
def write_only_relation():
    with Session() as session:
        authors = session.scalars(select(Author).order_by(Author.id)).all()  # mend
        return [[b.title for b in session.scalars(a.new_books.select())] for a in authors]  # mend


@dirty("QS101", relation="", table="book", accept=("QS102",))
def by_with_parent():
    with Session() as session:
        authors = session.scalars(select(Author).order_by(Author.id)).all()  # mend
        found = []
        for author in authors:  # mend
            statement = select(Book).where(with_parent(author, Author.books))  # mend
            found.append([book.title for book in session.scalars(statement)])  # mend
        return found


@repaired(by_with_parent)
def with_parents_at_once():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)
        return [[book.title for book in author.books] for author in session.scalars(statement)]


@dirty("QS101", relation="Author.books", table="book")
async def awaitable_attrs():
    async with AsyncSession() as session:
        authors = (await session.scalars(select(Author).order_by(Author.id))).all()  # mend
        return [[b.title for b in await author.awaitable_attrs.books] for author in authors]


@repaired(awaitable_attrs)
async def async_select_in():
    async with AsyncSession() as session:
        statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)
        return [[b.title for b in author.books] for author in await session.scalars(statement)]


@dirty("QS101", relation="Book.author", table="author")
async def lazy_within_run_sync():
    def names(session):
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [book.author.name for book in books]

    async with AsyncSession() as session:
        return await session.run_sync(names)


@repaired(lazy_within_run_sync)
async def joined_within_run_sync():
    def names(session):
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        return [book.author.name for book in session.scalars(statement)]

    async with AsyncSession() as session:
        return await session.run_sync(names)


@dirty("QS101", relation="Book.author", table="author", also=("QS102", "QS104"))
async def refreshed_relation():
    async with AsyncSession() as session:
        books = (await session.scalars(select(Book).order_by(Book.id))).all()  # mend
        for book in books:  # mend
            await session.refresh(book, ["author"])  # mend
        return [book.author.name for book in books]


@repaired(refreshed_relation)
async def streamed_with_relation():
    async with AsyncSession() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        return [book.author.name async for book in await session.stream_scalars(statement)]


@dirty("QS101", relation="Book.author", table="author")
def lazy_after_yield_per():
    with Session() as session:
        statement = select(Book).order_by(Book.id).execution_options(yield_per=100)  # mend
        return [book.author.name for book in session.scalars(statement)]  # mend


@repaired(lazy_after_yield_per)
def select_in_with_yield_per():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.author)).order_by(Book.id)
        books = session.scalars(statement.execution_options(yield_per=100))
        return [book.author.name for book in books]


@dirty("QS101", relation="Book.author", table="author", also=("QS501", "QS208", "QS505", "QS204"))
def session_per_row():
    """Seen across sessions: each row comes back in one of its own."""
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
    names = []
    for book in books:  # mend
        with Session() as session:  # mend
            session.add(book)
            names.append(book.author.name)  # mend
            session.expunge_all()
    return names


@dirty("QS101", relation="Book.author", table="author", also=("QS501", "QS505", "QS508"))
def threads_with_merged_rows():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_author_in_thread, books))


def _author_in_thread(book):
    with Session() as session:
        return session.merge(book, load=False).author.name  # mend: threads_with_merged_rows


class _AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str


class _BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str
    author: _AuthorOut


@dirty("QS101", relation="Book.author", table="author", also=("QS316",))
def pydantic_from_attributes():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [_BookOut.model_validate(book).model_dump() for book in books]


@repaired(pydantic_from_attributes)
def pydantic_from_joined_attributes():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        return [_BookOut.model_validate(book).model_dump() for book in session.scalars(statement)]


@dirty("QS101", relation="Book.author", table="author")
def many_to_one_by_map():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return list(map(_author_of, books))


@dirty("QS101", relation="Book.author", table="author")
def many_to_one_while_sorting():
    with Session() as session:
        books = session.scalars(select(Book)).all()  # mend
        return [book.id for book in sorted(books, key=lambda book: book.author.name)]


# -- QS101: innocent ---------------------------------------------------------------------------


@innocent("QS101")
def key_itself():
    with Session() as session:
        return [book.author_id for book in session.scalars(select(Book))]


@innocent("QS101")
def null_keys():
    with Session() as session:
        return [b.editor for b in session.scalars(select(Book).where(Book.editor_id.is_(None)))]


@innocent("QS101")
def detail_page():
    with Session() as session:
        book = session.get(Book, 1)
        return [book.author.name, book.publisher.name, [tag.name for tag in book.tags]]


@innocent("QS101")
def parents_in_the_identity_map():
    with Session() as session:
        authors = session.scalars(select(Author)).all()
        books = session.scalars(select(Book)).all()
        return [book.author.name for book in books], len(authors)


@innocent("QS101")
def read_twice():
    with Session() as session:
        book = session.get(Book, 1)
        return [book.author.name for _ in range(20)]


@innocent("QS101")
def contained_rows():
    with Session() as session:
        statement = select(Book).join(Book.author).options(contains_eager(Book.author))
        return [book.author.name for book in session.scalars(statement)]


@innocent("QS101")
def select_in_in_batches():
    """Five hundred keys at a time, by SQLAlchemy itself."""
    with Session() as session:
        path = selectinload(Book.reviews), selectinload(Book.tags), raiseload("*")
        books = session.scalars(select(Book).options(*path)).all()
        return [len(book.reviews) + len(book.tags) for book in books]


@innocent("QS101")
def polymorphic_rows():
    with Session() as session:
        discs = with_polymorphic(Product, [Disc])
        return [disc.minutes for disc in session.scalars(select(discs))]


@innocent("QS101")
async def async_joined():
    async with AsyncSession() as session:
        statement = select(Book).options(joinedload(Book.author), selectinload(Book.tags))
        books = (await session.scalars(statement)).all()
        return [(book.author.name, len(book.tags)) for book in books]


@innocent("QS101", also=("QS501", "QS505"))
async def two_sessions_at_once():
    """Two independent statements, run together."""

    async def count(model):
        async with AsyncSession() as session:
            return [one.name for one in (await session.scalars(select(model))).all()]

    return await asyncio.gather(count(Author), count(Publisher))


@innocent("QS101")
def unloaded_is_asked_about():
    with Session() as session:
        books = session.scalars(select(Book)).all()
        return ["author" in inspect(book).unloaded for book in books]


# -- QS104: columns ----------------------------------------------------------------------------


@dirty("QS104", relation="Book.blurb", table="book")
def deferred_column():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [book.blurb for book in books]


@repaired(deferred_column)
def undeferred_column():
    with Session() as session:
        statement = select(Book).options(undefer(Book.blurb)).order_by(Book.id)
        return [book.blurb for book in session.scalars(statement)]


@dirty("QS104", relation="Book.price", table="book")
def load_only_too_few():
    with Session() as session:
        statement = select(Book).options(load_only(Book.title)).order_by(Book.id)  # mend
        return [f"{book.title} {book.price}" for book in session.scalars(statement).all()]  # mend


@repaired(load_only_too_few)
def load_only_enough():
    with Session() as session:
        statement = select(Book).options(load_only(Book.title, Book.price)).order_by(Book.id)
        return [f"{book.title} {book.price}" for book in session.scalars(statement).all()]


@dirty("QS104", relation="Book", table="book", writes=True)
def expired_after_commit():
    """The commit expires every row; the loop after it loads each again."""
    with Session() as session:  # mend
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        session.commit()  # mend
        return [book.title for book in books]


@repaired(expired_after_commit)
def kept_after_commit():
    with Session(expire_on_commit=False) as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        session.commit()
        return [book.title for book in books]


@dirty("QS104", relation="Book", table="book", accept=("QS102",))
def refresh_in_loop():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        for book in books:  # mend
            session.refresh(book)  # mend
        return [book.title for book in books]


@repaired(refresh_in_loop)
def refreshed_by_one_select():
    with Session() as session:
        statement = select(Book).order_by(Book.id)
        return [book.title for book in session.scalars(statement)]


@dirty("QS104", relation="Disc.minutes", table="disc")
def columns_of_the_child():
    """Selected as the parent, each row's own columns come one by one."""
    with Session() as session:
        products = session.scalars(select(Product).order_by(Product.id)).all()  # mend
        return [product.minutes for product in products]


@repaired(columns_of_the_child)
def columns_of_the_child_at_once():
    from sqlalchemy.orm import selectin_polymorphic

    with Session() as session:
        option = selectin_polymorphic(Product, [Disc])
        products = session.scalars(select(Product).options(option).order_by(Product.id))
        return [product.minutes for product in products]


@innocent("QS104")
def deferred_and_not_read():
    with Session() as session:
        return [book.title for book in session.scalars(select(Book).options(defer(Book.summary)))]


@innocent("QS104")
def deferred_of_one_object():
    with Session() as session:
        return session.get(Book, 1).blurb


@innocent("QS104", also=("QS205",))
def refresh_until_it_is_done():
    with Session() as session:
        book = session.get(Book, 1)
        for _ in range(4):
            session.refresh(book)
            if book.status == "gone":
                break
        return book.status


# -- QS105: what is loaded eagerly and asked for again -----------------------------------------


@dirty("QS105", relation="books", table="book", accept=("QS101", "QS102"), also=("QS112",))
def loaded_then_filtered():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)  # mend
        found = []
        for author in session.scalars(statement).all():  # mend
            mine = select(Book).where(with_parent(author, Author.books), Book.price > 1)  # mend
            found.append([book.title for book in session.scalars(mine)])  # mend
        return found


@repaired(loaded_then_filtered)
def loaded_then_filtered_in_python():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books)).order_by(Author.id)
        authors = session.scalars(statement).all()
        return [[book.title for book in author.books if book.price > 1] for author in authors]


@innocent("QS105")
def loaded_and_measured():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books))
        return [
            (len(a.books), bool(a.books), a.books[:1]) and 1 for a in session.scalars(statement)
        ]


@innocent("QS105")
def loaded_and_sorted():
    with Session() as session:
        statement = select(Author).options(selectinload(Author.books))
        authors = session.scalars(statement).all()
        return [[b.id for b in sorted(a.books, key=lambda b: b.title)] for a in authors]
