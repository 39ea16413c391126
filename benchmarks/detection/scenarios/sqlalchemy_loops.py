"""SQLAlchemy: lookups, aggregates, blocks and writes in loops, and what else makes many trips."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete, exists, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from benchmarks.detection.scenario import dirty, innocent, repaired
from benchmarks.detection.sqlalchemy_shelf import data
from benchmarks.detection.sqlalchemy_shelf.data import AsyncSession, Session
from benchmarks.detection.sqlalchemy_shelf.models import (
    Author,
    Book,
    Employee,
    Entry,
    Option,
    Publisher,
    Review,
    Stock,
    Tag,
)

# -- QS102: lookups ----------------------------------------------------------------------------


def _keys(session):
    return list(session.scalars(select(Book.id).order_by(Book.id)))


@dirty("QS102", table="book")
def session_get():
    with Session() as session:
        return [session.get(Book, key).title for key in _keys(session)]  # mend


@repaired(session_get)
def select_of_keys():
    with Session() as session:
        statement = select(Book).where(Book.id.in_(_keys(session))).order_by(Book.id)
        return [book.title for book in session.scalars(statement)]


@dirty("QS102", table="book")
async def async_session_get():
    async with AsyncSession() as session:
        keys = (await session.scalars(select(Book.id).order_by(Book.id))).all()
        return [(await session.get(Book, key)).title for key in keys]  # mend


@repaired(async_session_get)
async def async_select_of_keys():
    async with AsyncSession() as session:
        keys = (await session.scalars(select(Book.id).order_by(Book.id))).all()
        statement = select(Book).where(Book.id.in_(keys)).order_by(Book.id)
        return [book.title for book in await session.scalars(statement)]


@dirty("QS102", table="author")
def select_in_loop():
    with Session() as session:
        found = []
        for book in session.scalars(select(Book).order_by(Book.id)).all():  # mend
            statement = select(Author).where(Author.id == book.author_id)  # mend
            found.append(session.scalars(statement).one().name)  # mend
        return found


@repaired(select_in_loop)
def select_joined():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        return [book.author.name for book in session.scalars(statement)]


@dirty("QS102", table="book")
def natural_key_in_loop():
    with Session() as session:
        numbers = [f"isbn-{key}" for key in _keys(session)]
        return [
            session.scalar(select(Book.title).where(Book.isbn == one)) for one in numbers
        ]  # mend


@repaired(natural_key_in_loop)
def natural_keys_at_once():
    with Session() as session:
        numbers = [f"isbn-{key}" for key in _keys(session)]
        found = dict(
            session.execute(select(Book.isbn, Book.title).where(Book.isbn.in_(numbers))).all()
        )
        return [found[number] for number in numbers]


@dirty("QS102", table="author")
def core_select_in_loop():
    table = Author.__table__
    with data.engine.connect() as connection:
        keys = connection.scalars(select(Book.author_id).order_by(Book.id)).all()
        return [
            connection.scalar(select(table.c.name).where(table.c.id == key)) for key in keys
        ]  # mend


@repaired(core_select_in_loop)
def core_join():
    with data.engine.connect() as connection:
        return connection.scalars(select(Author.name).join(Book.author).order_by(Book.id)).all()


@dirty("QS102", table="author")
def text_in_loop():
    with Session() as session:
        statement = text("SELECT name FROM author WHERE id = :key")
        return [session.scalar(statement, {"key": key}) for key in _keys(session)]  # mend


@repaired(text_in_loop)
def text_once():
    with Session() as session:
        count = len(_keys(session))
        statement = text("SELECT name FROM author WHERE id <= :key ORDER BY id")
        return session.scalars(statement, {"key": count}).all()


@dirty("QS102", table="author", also=("QS313",))
def literal_values_in_loop():
    """The values stand in the text: as many statements as keys."""
    with Session() as session:
        keys = _keys(session)
        return [
            session.scalar(text(f"SELECT name FROM author WHERE id = {key}")) for key in keys
        ]  # mend


@dirty("QS102", table="author")
def driver_sql_in_loop():
    mark = {"sqlite": "?"}.get(data.engine.dialect.name, "%s")
    with data.engine.connect() as connection:
        keys = connection.scalars(select(Book.author_id).order_by(Book.id)).all()
        statement = f"SELECT name FROM author WHERE id = {mark}"
        return [connection.exec_driver_sql(statement, (key,)).scalar() for key in keys]  # mend


@dirty("QS102", table="book")
def in_of_one():
    with Session() as session:
        found = []
        for key in _keys(session):  # mend
            found += [
                b.title for b in session.scalars(select(Book).where(Book.id.in_([key])))
            ]  # mend
        return found


@repaired(in_of_one)
def in_of_all():
    with Session() as session:
        statement = select(Book).where(Book.id.in_(_keys(session))).order_by(Book.id)
        return [book.title for book in session.scalars(statement)]


@dirty("QS102", table="book")
def legacy_filter_first():
    with Session() as session:
        keys = _keys(session)
        return [
            session.query(Book).filter(Book.publisher_id == key).first().title for key in keys
        ]  # mend


@repaired(legacy_filter_first)
def legacy_filter_of_all():
    with Session() as session:
        keys = _keys(session)
        books = session.query(Book).filter(Book.publisher_id.in_(keys)).order_by(Book.id)
        return [book.title for book in books]


@dirty("QS102", table="author", also=("QS501",))
def session_per_item():
    """A helper that opens a session of its own for each key."""
    with Session() as session:
        keys = _keys(session)
    return [_name_of(key) for key in keys]  # mend


def _name_of(key):
    with Session() as session:
        return session.get(Author, key).name  # mend: session_per_item, session_per_thread


@repaired(session_per_item)
def one_session_for_all():
    with Session() as session:
        statement = select(Author).where(Author.id.in_(_keys(session))).order_by(Author.id)
        return [author.name for author in session.scalars(statement)]


@dirty("QS102", table="author", also=("QS501", "QS505"))
async def session_per_task():
    async with AsyncSession() as session:
        keys = (await session.scalars(select(Book.author_id).order_by(Book.id))).all()
    return await asyncio.gather(*[_async_name_of(key) for key in keys])  # mend


async def _async_name_of(key):
    async with AsyncSession() as session:
        return (await session.get(Author, key)).name  # mend: session_per_task


@repaired(session_per_task)
async def one_session_for_all_tasks():
    async with AsyncSession() as session:
        statement = select(Author.name).join(Book.author).order_by(Book.id)
        return (await session.scalars(statement)).all()


@dirty("QS102", table="author", also=("QS501", "QS505"))
def session_per_thread():
    with Session() as session:
        keys = _keys(session)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_name_of, keys))  # mend


@dirty("QS102", table="employee", at_least=6)
def walk_up_by_get():
    with Session() as session:
        names, key = [], session.scalar(select(func.max(Employee.id)))
        while key:
            one = session.get(Employee, key)
            names.append(one.name)
            key = one.boss_id
        return names


@repaired(walk_up_by_get)
def walk_up_by_recursion():
    """One statement: a recursive common table expression."""
    with Session() as session:
        top = session.scalar(select(func.max(Employee.id)))
        up = select(Employee.id, Employee.name, Employee.boss_id).where(Employee.id == top)
        up = up.cte("up", recursive=True)
        step = select(Employee.id, Employee.name, Employee.boss_id).join(
            up, Employee.id == up.c.boss_id
        )
        up = up.union_all(step)
        return list(session.scalars(select(up.c.name).order_by(up.c.id.desc())))


@innocent("QS102")
def get_from_the_identity_map():
    with Session() as session:
        books = session.scalars(select(Book)).all()
        return [session.get(Book, book.id).title for book in books]


@innocent("QS102")
def keyset_pages():
    titles, last = [], 0
    with Session() as session:
        statement = select(Book).order_by(Book.id).limit(20)
        while page := session.scalars(statement.where(Book.id > last)).all():
            titles += [book.title for book in page]
            last = page[-1].id
    return titles


@innocent("QS102")
def three_options_from_three_lines():
    with Session() as session:
        first = session.scalar(select(Option.value).where(Option.name == "option 1"))
        second = session.scalar(select(Option.value).where(Option.name == "option 2"))
        third = session.scalar(select(Option.value).where(Option.name == "option 3"))
        return [first, second, third]


@innocent("QS102")
def in_chunks():
    keys = list(range(1, 101))
    parts = [keys[start : start + 50] for start in range(0, 100, 50)]
    with Session() as session:
        found = [session.scalars(select(Book).where(Book.id.in_(part))).all() for part in parts]
        return [book.title for books in found for book in books]


@innocent("QS102")
async def streamed_rows():
    async with AsyncSession() as session:
        return [row.title async for row in await session.stream(select(Book.title))]


@innocent("QS102", writes=True)
def two_rows_locked():
    with Session.begin() as session:
        one = session.scalars(select(Stock).where(Stock.book_id == 1).with_for_update()).one()
        two = session.scalars(select(Stock).where(Stock.book_id == 2).with_for_update()).one()
        one.quantity, two.quantity = 4, 6
    return "moved"


# -- QS103: aggregates -------------------------------------------------------------------------


@dirty("QS103", table="review")
def count_per_key():
    with Session() as session:
        found = []
        for key in _keys(session):  # mend
            statement = (
                select(func.count()).select_from(Review).where(Review.book_id == key)
            )  # mend
            found.append(session.scalar(statement))  # mend
        return found


@repaired(count_per_key)
def counts_grouped():
    with Session() as session:
        statement = select(Review.book_id, func.count()).group_by(Review.book_id)
        counts = dict(session.execute(statement).all())
        return [counts.get(key, 0) for key in _keys(session)]


@dirty("QS103", table="review")
def exists_per_key():
    with Session() as session:
        found = []
        for key in _keys(session):  # mend
            found.append(session.scalar(select(exists().where(Review.book_id == key))))  # mend
        return [bool(one) for one in found]


@repaired(exists_per_key)
def exists_from_one_set():
    with Session() as session:
        reviewed = set(session.scalars(select(Review.book_id)))
        return [key in reviewed for key in _keys(session)]


@dirty("QS103", table="review")
def sum_per_row():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        found = []
        for book in books:  # mend
            statement = select(func.sum(Review.stars)).where(Review.book_id == book.id)  # mend
            found.append(int(session.scalar(statement)))  # mend
        return found


@repaired(sum_per_row)
def sums_grouped():
    with Session() as session:
        statement = select(Review.book_id, func.sum(Review.stars)).group_by(Review.book_id)
        sums = dict(session.execute(statement.order_by(Review.book_id)).all())
        return [int(one) for one in sums.values()]


@dirty("QS103", table="review")
def legacy_count_per_key():
    with Session() as session:
        keys = _keys(session)
        return [session.query(Review).filter_by(book_id=key).count() for key in keys]  # mend


@repaired(legacy_count_per_key)
def legacy_counts_grouped():
    with Session() as session:
        rows = session.query(Review.book_id, func.count()).group_by(Review.book_id).all()
        counts = dict([tuple(row) for row in rows])
        return [counts.get(key, 0) for key in _keys(session)]


@dirty("QS103", table="review")
async def async_count_per_key():
    async with AsyncSession() as session:
        keys = (await session.scalars(select(Book.id).order_by(Book.id))).all()
        found = []
        for key in keys:  # mend
            statement = (
                select(func.count()).select_from(Review).where(Review.book_id == key)
            )  # mend
            found.append(await session.scalar(statement))  # mend
        return found


@repaired(async_count_per_key)
async def async_counts_grouped():
    async with AsyncSession() as session:
        statement = select(Review.book_id, func.count()).group_by(Review.book_id)
        rows = await session.execute(statement.order_by(Review.book_id))
        return [count for _, count in rows]


@innocent("QS103")
def counts_of_three_things():
    with Session() as session:
        return [
            session.scalar(select(func.count()).select_from(one)) for one in (Book, Author, Tag)
        ]


@innocent("QS103")
def one_row_counted():
    with Session() as session:
        book = session.get(Book, 1)
        count = select(func.count()).select_from(Review).where(Review.book_id == book.id)
        return [book.title, session.scalar(count)]


# -- QS106 -------------------------------------------------------------------------------------


@dirty("QS106", table="author", accept=("QS102",), also=("QS102", "QS103", "QS109"))
def block_per_key():
    with Session() as session:
        return [_described(session, key) for key in _keys(session)]


def _described(session, key):
    row = session.execute(select(Book.title, Book.author_id).where(Book.id == key)).one()
    author = session.scalar(select(Author.name).where(Author.id == row.author_id))
    stars = session.scalar(select(func.max(Review.stars)).where(Review.book_id == key))
    return row.title, author, stars


@repaired(block_per_key)
def block_at_once():
    with Session() as session:
        stars = select(Review.book_id, func.max(Review.stars).label("top")).group_by(Review.book_id)
        stars = stars.subquery()
        statement = select(Book.title, Author.name, stars.c.top).join(Book.author)
        statement = statement.join(stars, stars.c.book_id == Book.id).order_by(Book.id)
        return [tuple(row) for row in session.execute(statement)]


@innocent("QS106")
def five_statements_once():
    with Session() as session:
        book = session.get(Book, 1)
        count = session.scalar(select(func.count()).select_from(Tag))
        tags = [tag.name for tag in book.tags]
        return [book.title, book.author.name, book.publisher.name, tags, count]


@innocent("QS106")
def pages_with_their_children():
    found, last = 0, 0
    with Session() as session:
        statement = select(Book).options(selectinload(Book.tags)).order_by(Book.id).limit(20)
        while page := session.scalars(statement.where(Book.id > last)).all():
            found += sum(len(book.tags) for book in page)
            last = page[-1].id
    return found


# -- QS107: writes -----------------------------------------------------------------------------


def _quantities():
    with Session() as session:
        return list(session.scalars(select(Stock.quantity).order_by(Stock.book_id)))


def _entries():
    with Session() as session:
        rows = session.execute(select(Entry.text, Entry.number).order_by(Entry.number))
        return [tuple(row) for row in rows]


@dirty("QS107", table="entry", writes=True, at_least=6, also=("QS511",), after=_entries)
def flush_per_insert():
    with Session.begin() as session:
        for key in _keys(session):  # mend
            session.add(Entry(text="new", number=key))
            session.flush()  # mend


@repaired(flush_per_insert)
def one_flush():
    with Session.begin() as session:
        session.add_all([Entry(text="new", number=key) for key in _keys(session)])


@repaired(flush_per_insert)
def one_insert():
    with Session.begin() as session:
        rows = [{"text": "new", "number": key} for key in _keys(session)]
        session.execute(insert(Entry), rows)


@dirty("QS107", table="entry", writes=True, at_least=6, accept=("QS507",), after=_entries)
def commit_per_insert():
    with Session() as session:
        for key in _keys(session):  # mend
            session.add(Entry(text="new", number=key))
            session.commit()  # mend


@repaired(commit_per_insert)
def one_commit():
    with Session() as session:
        for key in _keys(session):
            session.add(Entry(text="new", number=key))
        session.commit()


@dirty("QS107", table="stock", writes=True, at_least=6, after=_quantities)
def core_update_in_loop():
    with Session.begin() as session:
        for key in _keys(session):  # mend
            session.execute(update(Stock).where(Stock.book_id == key).values(quantity=key))  # mend


@repaired(core_update_in_loop)
def core_update_once():
    with Session.begin() as session:
        session.execute(update(Stock).values(quantity=Stock.book_id))


def _reviews():
    with Session() as session:
        return session.scalar(select(func.count()).select_from(Review))


@dirty("QS107", table="review", writes=True, at_least=6, after=_reviews)
def core_delete_in_loop():
    with Session.begin() as session:
        for key in _keys(session):  # mend
            session.execute(delete(Review).where(Review.book_id == key))  # mend


@repaired(core_delete_in_loop)
def core_delete_once():
    with Session.begin() as session:
        session.execute(delete(Review).where(Review.book_id.in_(_keys(session))))


@dirty("QS107", table="entry", writes=True, at_least=6, after=_entries)
def text_insert_in_loop():
    statement = text("INSERT INTO entry (text, number) VALUES (:text, :number)")
    with data.engine.begin() as connection:
        for key in connection.scalars(select(Book.id)).all():  # mend
            connection.execute(statement, {"text": "new", "number": key})  # mend


@repaired(text_insert_in_loop)
def text_insert_many():
    statement = text("INSERT INTO entry (text, number) VALUES (:text, :number)")
    with data.engine.begin() as connection:
        keys = connection.scalars(select(Book.id)).all()
        connection.execute(statement, [{"text": "new", "number": key} for key in keys])


@dirty("QS107", table="entry", writes=True, at_least=6, after=_entries)
def executemany_of_one():
    with data.engine.begin() as connection:
        for key in connection.scalars(select(Book.id)).all():  # mend
            connection.execute(insert(Entry), [{"text": "new", "number": key}])  # mend


@dirty("QS107", table="entry", writes=True, at_least=6, also=("QS511",))
async def async_flush_per_insert():
    async with AsyncSession() as session:
        keys = (await session.scalars(select(Book.id))).all()
        for key in keys:  # mend
            session.add(Entry(text="new", number=key))
            await session.flush()  # mend
        await session.commit()
    return len(keys)


@repaired(async_flush_per_insert)
async def async_one_flush():
    async with AsyncSession() as session:
        keys = (await session.scalars(select(Book.id))).all()
        session.add_all([Entry(text="new", number=key) for key in keys])
        await session.commit()
    return len(keys)


@dirty(
    "QS107",
    table="stock",
    writes=True,
    at_least=6,
    accept=("QS102", "QS108"),
    also=("QS102", "QS108"),
    after=_quantities,
)
def merge_in_loop():
    """Each ``merge`` looks its row up first."""
    with Session.begin() as session:
        for key, book in session.execute(select(Stock.id, Stock.book_id)).all():  # mend
            session.merge(Stock(id=key, book_id=book, quantity=book))  # mend


@repaired(merge_in_loop)
def updated_by_keys():
    with Session.begin() as session:
        rows = [
            {"id": key, "quantity": book}
            for key, book in session.execute(select(Stock.id, Stock.book_id)).all()
        ]
        session.execute(update(Stock), rows)


@innocent("QS107", writes=True, after=_quantities)
def changed_rows_of_one_flush():
    """The ORM sends them row by row or in batches, as it can."""
    with Session.begin() as session:
        for stock in session.scalars(select(Stock)):
            stock.quantity = stock.book_id + 1


@innocent("QS107", writes=True)
def cascade_of_one_flush():
    with Session.begin() as session:
        author = Author(name="new")
        author.books = [Book(title=f"new {n}", isbn=f"new-{n}", publisher_id=1) for n in range(12)]
        session.add(author)
    return "added"


@innocent("QS107", writes=True)
def savepoint_per_row_to_survive_errors():
    refused = 0
    with Session.begin() as session:
        for number in (1, 1, 2, 2, 3, 3):
            try:
                with session.begin_nested():
                    session.add(Option(name=f"new {number}", value="x"))
            except IntegrityError:
                refused += 1
    return refused


@innocent("QS107", writes=True)
def seeding():
    with Session.begin() as session:
        session.add_all([Publisher(name=f"new {n}") for n in range(30)])
        session.add_all([Tag(name=f"new {n}") for n in range(30)])
    return "seeded"


# -- QS108 -------------------------------------------------------------------------------------


@dirty(
    "QS108",
    table="options",
    writes=True,
    at_least=6,
    also=("QS102", "QS103", "QS106", "QS107", "QS511"),
)
def exists_then_insert():
    with Session.begin() as session:
        count = len(_keys(session))
        for number in range(count):  # mend
            name = f"new {number}"
            if session.scalar(select(Option).where(Option.name == name)) is None:  # mend
                session.add(Option(name=name, value="x"))  # mend
    return count


@repaired(exists_then_insert)
def missing_ones_inserted():
    with Session.begin() as session:
        count = len(_keys(session))
        names = {f"new {number}" for number in range(count)}
        names -= set(session.scalars(select(Option.name).where(Option.name.in_(names))))
        session.add_all([Option(name=name, value="x") for name in sorted(names)])
    return count


@dirty(
    "QS108",
    table="stock",
    writes=True,
    at_least=6,
    also=("QS102", "QS106", "QS107", "QS511"),
    after=_quantities,
)
def get_then_change():
    with Session.begin() as session:
        for key in _keys(session):  # mend
            stock = session.scalars(select(Stock).where(Stock.book_id == key)).one()  # mend
            stock.quantity = stock.quantity + 1  # mend
            session.flush()  # mend


@repaired(get_then_change)
def changed_by_expression():
    with Session.begin() as session:
        session.execute(update(Stock).values(quantity=Stock.quantity + 1))


@innocent("QS108", writes=True)
def edited_form():
    with Session.begin() as session:
        session.get(Book, 1).title = "new"
    return "new"


@innocent("QS108", writes=True)
def locked_then_changed():
    with Session.begin() as session:
        statement = select(Stock).where(Stock.book_id == 1).with_for_update()
        session.scalars(statement).one().quantity -= 1
    return "changed"


# -- QS109 -------------------------------------------------------------------------------------


@dirty("QS109", table="book", at_least=6)
def keys_into_the_next():
    with Session() as session:
        keys = session.scalars(select(Author.id).where(Author.country == "DE")).all()  # mend
        statement = select(func.count()).select_from(Book).where(Book.author_id.in_(keys))  # mend
        return session.scalar(statement)  # mend


@repaired(keys_into_the_next)
def keys_in_a_subquery():
    with Session() as session:
        keys = select(Author.id).where(Author.country == "DE")
        return session.scalar(
            select(func.count()).select_from(Book).where(Book.author_id.in_(keys))
        )


@innocent("QS109")
def keys_that_are_shown_too():
    with Session() as session:
        authors = session.scalars(select(Author).where(Author.country == "DE")).all()
        books = session.scalars(select(Book).where(Book.author_id.in_([a.id for a in authors])))
        return [author.name for author in authors], len(books.all())


@innocent("QS109")
def select_in_is_a_chain():
    with Session() as session:
        authors = session.scalars(select(Author).options(selectinload(Author.books)))
        return [len(author.books) for author in authors]


# -- QS112 to QS114 ----------------------------------------------------------------------------


@dirty("QS112", relation="Book.tags", table="tag", at_least=6)
def select_in_in_vain():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.tags)).order_by(Book.id)  # mend
        return [book.title for book in session.scalars(statement)]  # mend


@repaired(select_in_in_vain)
def nothing_loaded_along():
    with Session() as session:
        return [book.title for book in session.scalars(select(Book).order_by(Book.id))]


@dirty("QS112", relation="Book.author", table="author", at_least=6)
def joined_in_vain():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)  # mend
        return [book.title for book in session.scalars(statement)]  # mend


@repaired(joined_in_vain)
def nothing_joined():
    with Session() as session:
        return [book.title for book in session.scalars(select(Book).order_by(Book.id))]


@innocent("QS112")
def loaded_along_and_read():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.tags), joinedload(Book.author))
        return [(book.author.name, len(book.tags)) for book in session.scalars(statement)]


@innocent("QS112")
def loaded_along_and_read_for_some():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.tags))
        return [len(book.tags) for book in session.scalars(statement) if book.price > 11]


@dirty("QS113", table="review", at_least=6)
def two_collections_joined():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.tags), joinedload(Book.reviews))  # mend
        books = session.scalars(statement.order_by(Book.id)).unique().all()  # mend
        return [(len(book.tags), len(book.reviews)) for book in books]


@repaired(two_collections_joined)
def two_collections_apart():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.tags), selectinload(Book.reviews))
        books = session.scalars(statement.order_by(Book.id)).all()
        return [(len(book.tags), len(book.reviews)) for book in books]


@innocent("QS113")
def one_collection_joined():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.tags))
        return [len(book.tags) for book in session.scalars(statement).unique()]


@innocent("QS113")
def one_joined_one_select_in():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.tags), selectinload(Book.reviews))
        return [len(b.tags) + len(b.reviews) for b in session.scalars(statement).unique()]


@dirty("QS114", relation="reviews", table="book", at_least=50)
def wide_parent_joined():
    """Each review brings the book's two thousand characters along again."""
    with Session() as session:
        statement = select(Book).options(joinedload(Book.reviews)).order_by(Book.id)  # mend
        books = session.scalars(statement).unique().all()  # mend
        return [(len(book.summary), len(book.reviews)) for book in books]


@repaired(wide_parent_joined)
def wide_parent_select_in():
    with Session() as session:
        statement = select(Book).options(selectinload(Book.reviews)).order_by(Book.id)
        return [(len(b.summary), len(b.reviews)) for b in session.scalars(statement)]


@innocent("QS114")
def narrow_parent_joined():
    with Session() as session:
        statement = select(Author).options(joinedload(Author.books).load_only(Book.title))
        return [[b.title for b in a.books] for a in session.scalars(statement).unique()]


@innocent("QS114")
def key_joined():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author))
        return [book.author.name for book in session.scalars(statement)]


# -- QS110, QS111 ------------------------------------------------------------------------------


@dirty("QS111", at_least=50, also=("QS102", "QS103", "QS106", "QS203", "QS309"))
def chatty():
    total = 0
    with Session() as session:
        for model in (Book, Author, Publisher, Tag, Review, Stock, Option, Employee, Entry):
            total += session.scalar(select(func.count()).select_from(model))
            total += session.scalar(select(func.count(model.id))) or 0
            total += session.scalar(select(func.min(model.id))) or 0
            total += session.scalar(select(func.count(model.id)).where(model.id > 3))
            total += session.scalar(select(func.count(model.id)).where(model.id < 3))
            total += session.scalar(select(func.count(model.id)).where(model.id == 3))
            total += len(session.scalars(select(model.id).order_by(model.id).limit(1)).all())
            total += len(session.scalars(select(model.id).order_by(model.id.desc()).limit(1)).all())
            total += len(session.scalars(select(model).order_by(model.id).limit(1)).all())
            total += session.scalar(select(func.count(model.id)).where(model.id.is_(None)))
            total += bool(session.scalar(select(exists().where(model.id > 0))))
            total += session.scalar(select(func.count(model.id.distinct())))
    return total


@repaired(chatty)
def quiet():
    total = 0
    with Session() as session:
        for model in (Book, Author, Publisher, Tag, Review, Stock, Option, Employee, Entry):
            keys = sorted(session.scalars(select(model.id)))
            total += 3 * len(keys) + (keys[0] if keys else 0) + 4 * bool(keys)
            total += sum(key > 3 for key in keys) + sum(key <= 3 for key in keys)
    return total


@innocent("QS111")
def eight_statements():
    with Session() as session:
        models = Book, Author, Publisher, Tag, Review, Stock, Option, Employee
        return [session.scalar(select(func.count()).select_from(model)) for model in models]


@innocent("QS110")
def independent_and_fast():
    with Session() as session:
        books = session.scalar(select(func.count()).select_from(Book))
        authors = session.scalar(select(func.count()).select_from(Author))
        return books, authors
