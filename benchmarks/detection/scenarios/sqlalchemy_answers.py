"""SQLAlchemy: what is asked twice or for nothing, and how much of it (QS2 and QS3)."""

from __future__ import annotations

from itertools import count

from jinja2 import DictLoader, Environment
from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import joinedload, load_only

from benchmarks.detection.scenario import dirty, innocent, repaired
from benchmarks.detection.sqlalchemy_shelf import data
from benchmarks.detection.sqlalchemy_shelf.data import AsyncSession, Session
from benchmarks.detection.sqlalchemy_shelf.models import (
    Author,
    Book,
    Option,
    Publisher,
    Reading,
    Review,
    Stock,
    Tag,
)

# -- QS201, QS202 ------------------------------------------------------------------------------


@dirty("QS201", table="options")
def same_select_from_two_lines():
    with Session() as session:
        one = session.scalar(select(Option.value).where(Option.name == "option 1"))
        two = session.scalar(select(Option.value).where(Option.name == "option 1"))
        return one + two


@repaired(same_select_from_two_lines)
def same_select_kept():
    with Session() as session:
        one = session.scalar(select(Option.value).where(Option.name == "option 1"))
        return one + one


@dirty("QS201", table="options")
def same_set_in_two_helpers():
    with Session() as session:
        return len(_options(session)) + len([one.name for one in _all_options(session)])


def _options(session):
    return session.scalars(select(Option).order_by(Option.id)).all()


def _all_options(session):
    return session.scalars(select(Option).order_by(Option.id)).all()


@repaired(same_set_in_two_helpers)
def same_set_handed_on():
    with Session() as session:
        options = _options(session)
        return len(options) + len([one.name for one in options])


@innocent("QS201", writes=True)
def read_write_read():
    with Session.begin() as session:
        statement = select(Stock.quantity).where(Stock.book_id == 1)
        before = session.scalar(statement)
        session.execute(text("UPDATE stock SET quantity = 9 WHERE book_id = 1"))
        return [before, session.scalar(statement)]


@innocent("QS201")
def get_twice():
    """The second comes from the identity map."""
    with Session() as session:
        first = session.get(Book, 1)
        return [first.title, session.get(Book, 1).title]


@innocent("QS201")
def one_table_for_three_purposes():
    with Session() as session:
        return [
            session.scalar(select(func.count()).select_from(Book)),
            session.scalars(select(Book.title).order_by(Book.price.desc()).limit(3)).all(),
            session.scalar(select(func.sum(Book.price))),
        ]


@dirty("QS202", table="options", accept=("QS201",))
def option_in_loop():
    with Session() as session:
        found = []
        for book in session.scalars(select(Book).order_by(Book.id)).all():  # mend
            rate = session.scalar(select(Option.value).where(Option.name == "option 1"))  # mend
            found.append(book.price * int(rate))
        return found


@repaired(option_in_loop)
def option_before_the_loop():
    with Session() as session:
        rate = session.scalar(select(Option.value).where(Option.name == "option 1"))
        return [b.price * int(rate) for b in session.scalars(select(Book).order_by(Book.id))]


@dirty("QS202", table="tag", accept=("QS201",))
def set_in_inner_loop():
    with Session() as session:
        found = 0
        for book in session.scalars(select(Book)).all():  # mend
            for tag in session.scalars(select(Tag)):  # mend
                found += tag.name[-1] == book.title[-1]
        return found


@repaired(set_in_inner_loop)
def set_before_the_loop():
    with Session() as session:
        tags = session.scalars(select(Tag)).all()
        books = session.scalars(select(Book)).all()
        return sum(tag.name[-1] == book.title[-1] for book in books for tag in tags)


@dirty("QS202", table="options", accept=("QS201",))
async def option_in_async_loop():
    async with AsyncSession() as session:
        found = []
        for book in (await session.scalars(select(Book).order_by(Book.id))).all():  # mend
            rate = await session.scalar(
                select(Option.value).where(Option.name == "option 1")
            )  # mend
            found.append(book.price * int(rate))
        return found


@repaired(option_in_async_loop)
async def option_before_the_async_loop():
    async with AsyncSession() as session:
        rate = await session.scalar(select(Option.value).where(Option.name == "option 1"))
        books = await session.scalars(select(Book).order_by(Book.id))
        return [book.price * int(rate) for book in books]


@innocent("QS202", writes=True)
def queue_taken_one_by_one():
    """Each turn takes what the turn before has left."""
    taken = []
    with Session.begin() as session:
        statement = select(Tag).order_by(Tag.id).limit(1)
        session.execute(text("DELETE FROM book_tag"))
        session.execute(text("DELETE FROM tag WHERE id > 2"))
        while (tag := session.scalars(statement).first()) is not None:
            taken.append(tag.name)
            session.delete(tag)
            session.flush()
    return taken


@innocent("QS202")
def two_statements_in_a_loop_of_two():
    with Session() as session:
        models = Author, Publisher
        return [session.scalar(select(func.count()).select_from(model)) for model in models]


# -- QS203 to QS208 ----------------------------------------------------------------------------


@dirty("QS203", table="book", at_least=6)
def other_order():
    with Session() as session:
        ready = select(Book.id, Book.title).where(Book.status == "ready")
        cheap = session.execute(ready.order_by(Book.price)).all()
        named = session.execute(ready.order_by(Book.title)).all()
        return [row.id for row in cheap], [row.title for row in named]


@repaired(other_order)
def other_order_in_python():
    with Session() as session:
        ready = select(Book.id, Book.title).where(Book.status == "ready")
        cheap = session.execute(ready.order_by(Book.price)).all()
        return [row.id for row in cheap], sorted(row.title for row in cheap)


@innocent("QS203")
def two_filters():
    with Session() as session:
        ready = session.scalars(select(Book.title).where(Book.status == "ready")).all()
        gone = session.scalars(select(Book.title).where(Book.status == "gone")).all()
        return ready, gone


@innocent("QS203")
def two_small_pages():
    with Session() as session:
        newest = session.scalars(select(Book.id).order_by(Book.id.desc()).limit(3)).all()
        cheap = session.scalars(select(Book.id).order_by(Book.price, Book.id).limit(3)).all()
        return newest, cheap


@dirty("QS204", table="author", at_least=6, accept=("QS101",), also=("QS101",))
def object_for_its_key():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return [book.author.id for book in books]  # mend


@repaired(object_for_its_key)
def key_of_the_row():
    with Session() as session:
        return [book.author_id for book in session.scalars(select(Book).order_by(Book.id)).all()]


@dirty("QS204", table="book", at_least=6)
def select_of_a_key_in_the_identity_map():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        first = session.scalars(select(Book).where(Book.id == 1)).one()  # mend
        return [book.title for book in books], first.title


@repaired(select_of_a_key_in_the_identity_map)
def get_of_a_key_in_the_identity_map():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        return [book.title for book in books], session.get(Book, 1).title


@innocent("QS204")
def another_row():
    with Session() as session:
        one = session.get(Book, 1)
        return one.title, session.get(Book, 2).title


@innocent("QS204")
def nothing_found():
    with Session() as session:
        return session.scalars(select(Book).where(Book.status == "gone")).all()


@dirty("QS205", table="book", also=("QS201",))
def refreshed_at_once():
    with Session() as session:
        book = session.get(Book, 1)
        session.refresh(book)  # mend
        return book.title


@repaired(refreshed_at_once)
def not_refreshed():
    with Session() as session:
        return session.get(Book, 1).title


@innocent("QS205", writes=True)
def refreshed_after_a_write():
    with Session.begin() as session:
        stock = session.scalars(select(Stock).where(Stock.book_id == 1)).one()
        session.execute(text("UPDATE stock SET quantity = 3 WHERE book_id = 1"))
        session.refresh(stock)
        return stock.quantity


@innocent("QS205")
def read_between_two_loads():
    with Session() as session:
        book = session.get(Book, 1)
        title = book.title
        session.refresh(book)
        return title, book.title


@dirty("QS206", table="review", at_least=6)
def set_before_the_early_return():
    with Session() as session:
        reviews = session.scalars(select(Review)).all()  # mend
        if session.scalar(select(Option.id).where(Option.name == "option 1")):
            return []
        return [review.stars for review in reviews]


@repaired(set_before_the_early_return)
def early_return_first():
    with Session() as session:
        if session.scalar(select(Option.id).where(Option.name == "option 1")):
            return []
        return [review.stars for review in session.scalars(select(Review))]


@innocent("QS206")
def some_read_of_a_page():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id).limit(20)).all()
        return [book.title for book in books if book.price > 11]


@innocent("QS206")
def all_rows_read():
    with Session() as session:
        return [(r.id, r.stars) for r in session.scalars(select(Review))]


@dirty("QS207", table="book", at_least=6)
def count_then_all():
    with Session() as session:
        ready = select(Book).where(Book.status == "ready")
        count = session.scalar(select(func.count()).select_from(ready.subquery()))  # mend
        return count, [book.title for book in session.scalars(ready)]


@repaired(count_then_all)
def length_of_all():
    with Session() as session:
        books = session.scalars(select(Book).where(Book.status == "ready")).all()
        return len(books), [book.title for book in books]


@innocent("QS207")
def count_and_page():
    with Session() as session:
        count = session.scalar(select(func.count()).select_from(Book))
        return count, session.scalars(select(Book.title).order_by(Book.id).limit(5)).all()


@innocent("QS207")
def count_alone():
    with Session() as session:
        return session.scalar(select(func.count()).select_from(Book))


@dirty("QS208", table="book", also=("QS501", "QS201"))
def same_row_in_two_sessions():
    """A helper of its own session reads again what the caller has."""
    with Session() as session:
        title = session.get(Book, 1).title
    return title, _price(1)


def _price(key):
    with Session() as session:  # mend: same_row_in_two_sessions
        return session.get(Book, key).price  # mend: same_row_in_two_sessions


@repaired(same_row_in_two_sessions)
def same_row_handed_on():
    with Session() as session:
        book = session.get(Book, 1)
        return book.title, book.price


@dirty("QS208", table="author", also=("QS501", "QS201"))
async def same_row_in_two_async_sessions():
    async with AsyncSession() as session:
        name = (await session.get(Author, 1)).name
    async with AsyncSession() as session:  # mend
        return name, (await session.get(Author, 1)).country  # mend


@repaired(same_row_in_two_async_sessions)
async def same_row_in_one_async_session():
    async with AsyncSession() as session:
        author = await session.get(Author, 1)
        return author.name, author.country


@innocent("QS208", also=("QS501",))
def two_rows_in_two_sessions():
    with Session() as session:
        one = session.get(Book, 1).title
    with Session() as session:
        return one, session.get(Book, 2).title


@innocent("QS208")
def two_rows_in_one_session():
    with Session() as session:
        return session.get(Book, 1).title, session.get(Book, 2).title


@dirty("QS209", table="options", times=12)
def configuration_of_each_request():
    with Session() as session:
        return [one.value for one in session.scalars(select(Option))]


@repaired(configuration_of_each_request)
def configuration_kept():
    if not _kept:
        with Session() as session:
            _kept.extend(one.value for one in session.scalars(select(Option)))
    found = list(_kept)
    if next(_turns) % 12 == 11:  # the rows are others at the next size
        _kept.clear()
    return found


_kept = []
_turns = count()


@innocent("QS209", times=12)
def own_row_of_each_request():
    """Another visitor each time."""
    with Session() as session:
        return bool(session.get(Book, next(_visitors) % 2 + 1))


_visitors = count()


@innocent("QS209", times=3)
def three_requests():
    with Session() as session:
        return session.get(Book, 1).title


# -- QS211 -------------------------------------------------------------------------------------


@dirty("QS211", table="book", writes=True, also=("QS107",))
def written_unchanged():
    with Session.begin() as session:
        book = session.get(Book, 1)
        statement = text("UPDATE book SET title = :title WHERE id = 1")
        session.execute(statement, {"title": book.title})  # mend
        return book.title


@repaired(written_unchanged)
def not_written():
    with Session.begin() as session:
        return session.get(Book, 1).title


@innocent("QS211", writes=True)
def set_to_what_it_was():
    """The unit of work sees that nothing has changed, and sends nothing."""
    with Session.begin() as session:
        book = session.get(Book, 1)
        book.title = str(book.title)
        return book.title


@innocent("QS211", writes=True)
def changed_and_written():
    with Session.begin() as session:
        session.get(Book, 1).title = "new"
    return "new"


# -- QS3 ---------------------------------------------------------------------------------------


@dirty("QS301", relation="comment", table="reading", also=("QS303", "QS304"))
def one_column_of_many_rows():
    with Session() as session:
        statement = select(Reading).where(Reading.sensor < 20)  # mend
        return sorted(one.value for one in session.scalars(statement))  # mend


@repaired(one_column_of_many_rows, also=("QS304",))
def one_column_asked_for():
    with Session() as session:
        return sorted(session.scalars(select(Reading.value).where(Reading.sensor < 20)))


@innocent("QS301")
def every_column_read():
    with Session() as session:
        return [(o.id, o.name, o.value) for o in session.scalars(select(Option))]


@innocent("QS301")
def loaded_only():
    with Session() as session:
        return [b.title for b in session.scalars(select(Book).options(load_only(Book.title)))]


@dirty("QS302", table="reading", also=("QS206", "QS301", "QS303", "QS304"))
def filtered_after_the_fetch():
    with Session() as session:
        statement = select(Reading).where(Reading.sensor < 10).order_by(Reading.id)  # mend
        found = session.scalars(statement).all()  # mend
        return [(one.id, one.taken, one.comment) for one in found if one.value == 1]


@repaired(filtered_after_the_fetch)
def filtered_by_the_database():
    with Session() as session:
        statement = select(Reading).where(Reading.sensor < 10, Reading.value == 1)
        found = session.scalars(statement.order_by(Reading.id)).all()
        return [(one.id, one.taken, one.comment) for one in found]


@innocent("QS302", also=("QS304",))
def chosen_by_a_rule():
    """The rule is Python's."""
    with Session() as session:
        statement = select(Reading).where(Reading.sensor < 10).order_by(Reading.id)
        found = session.scalars(statement).all()
        return [(one.taken, one.comment) for one in found if _is_odd_day(one.taken)]


def _is_odd_day(taken):
    return (taken // 24) % 7 == 5


@innocent("QS302")
def most_rows_kept():
    with Session() as session:
        return [(b.id, b.title) for b in session.scalars(select(Book)) if b.price > 5]


@innocent("QS302")
def few_rows_filtered():
    with Session() as session:
        return [
            b.title
            for b in session.scalars(select(Book).order_by(Book.id).limit(5))
            if b.price == 12
        ]


@dirty("QS303", table="book", times=3, between=data.more_books, writes=True)
def grows_with_the_table():
    """Nothing bounds it, and others write meanwhile."""
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id))  # mend
        return [(book.id, book.title, book.isbn) for book in books]  # mend


@repaired(grows_with_the_table)
def bounded_pages():
    with Session() as session:
        found, last = [], 0
        by_key = select(Book).order_by(Book.id).limit(100)
        while page := session.scalars(by_key.where(Book.id > last)).all():
            found += [(book.id, book.title, book.isbn) for book in page]
            last = page[-1].id
        return found


@innocent("QS303", times=3, between=data.more_books, writes=True)
def first_page_of_many():
    with Session() as session:
        return session.scalars(select(Book.title).order_by(Book.id).limit(20)).all()


@innocent("QS303", times=3, between=data.more_books, writes=True)
def table_that_stays():
    with Session() as session:
        return session.execute(select(Option.name, Option.value).order_by(Option.id)).all()


@dirty("QS304", table="reading", accept=("QS305",), also=("QS301", "QS303"))
def thousands_of_rows():
    with Session() as session:
        return sum(one.value + one.taken for one in session.scalars(select(Reading)))  # mend


@repaired(thousands_of_rows)
def sum_of_the_database():
    with Session() as session:
        return int(session.scalar(select(func.sum(Reading.value + Reading.taken))))


@innocent("QS304")
def hundred_rows():
    with Session() as session:
        statement = select(Reading.id, Reading.value).order_by(Reading.id).limit(100)
        return [tuple(row) for row in session.execute(statement)]


@innocent("QS304", also=("QS301",))
def many_rows_streamed():
    """``yield_per`` keeps few of them in memory; it is an export."""
    with Session() as session:
        statement = select(Reading.id).where(Reading.sensor < 5).execution_options(yield_per=100)
        return sum(1 for _ in session.execute(statement)) > 0


@dirty("QS305", table="reading", also=("QS301", "QS303", "QS304"))
def summed_in_python():
    with Session() as session:
        statement = select(Reading).where(Reading.sensor < 25)  # mend
        return sum(one.value for one in session.scalars(statement).all())  # mend


@repaired(summed_in_python)
def summed_by_the_database():
    with Session() as session:
        return int(session.scalar(select(func.sum(Reading.value)).where(Reading.sensor < 25)))


@innocent("QS305")
def summed_and_listed():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        return [book.title for book in books], sum(book.price for book in books)


@innocent("QS305")
def sum_of_few():
    with Session() as session:
        return sum(review.stars for review in session.get(Book, 1).reviews)


@dirty("QS306", table="book", at_least=50, also=("QS301",))
def sorted_after_the_fetch():
    with Session() as session:
        books = session.scalars(select(Book)).all()  # mend
        books = sorted(books, key=lambda book: -book.price)
        return [(book.id, book.title, book.price) for book in books]


@repaired(sorted_after_the_fetch, also=("QS301",))
def sorted_by_the_database():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.price.desc()))
        return [(book.id, book.title, book.price) for book in books]


@innocent("QS306")
def rows_of_two_sets_sorted():
    with Session() as session:
        one = session.scalars(select(Reading).where(Reading.sensor == 1)).all()
        other = session.scalars(select(Reading).where(Reading.sensor == 2)).all()
        found = sorted([*one, *other], key=lambda reading: (reading.value, reading.id))
        return [(reading.id, reading.comment) for reading in found]


@innocent("QS306")
def sorted_by_more_than_a_column():
    with Session() as session:
        books = session.scalars(select(Book)).all()
        found = sorted(books, key=lambda book: book.title.removeprefix("title "))
        return [(book.title, len(book.summary)) for book in found]


@dirty("QS307", table="reading", also=("QS206", "QS301", "QS302", "QS303", "QS304"))
def page_cut_in_python():
    with Session() as session:
        found = session.scalars(select(Reading).order_by(Reading.id)).all()  # mend
        return [one.taken for one in found[20:40]]


@repaired(page_cut_in_python)
def page_cut_by_the_database():
    with Session() as session:
        statement = select(Reading).order_by(Reading.id).offset(20).limit(20)
        return [one.taken for one in session.scalars(statement)]


@innocent("QS307")
def page_of_joined_rows():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id).limit(5)
        return [book.author.name for book in session.scalars(statement)]


@innocent("QS307")
def three_of_few():
    with Session() as session:
        tags = session.get(Book, 1).tags
        return len(tags), [tag.name for tag in tags[:3]], [tag.id for tag in tags]


@dirty("QS308", table="reading")
def deep_page():
    with Session() as session:
        statement = select(Reading.taken).order_by(Reading.id).offset(5_500).limit(20)  # mend
        return session.scalars(statement).all()  # mend


@repaired(deep_page)
def page_after_a_key():
    with Session() as session:
        first = session.scalar(select(func.min(Reading.id)))
        statement = select(Reading.taken).where(Reading.id >= first + 5_500)
        return session.scalars(statement.order_by(Reading.id).limit(20)).all()


@innocent("QS308")
def second_page():
    with Session() as session:
        return session.scalars(
            select(Reading.taken).order_by(Reading.id).offset(20).limit(20)
        ).all()


@innocent("QS308")
def page_after_the_last_key():
    with Session() as session:
        statement = select(Reading.taken).where(Reading.id > 100).order_by(Reading.id).limit(20)
        return session.scalars(statement).all()


@dirty("QS309", table="book", at_least=6)
def page_without_order():
    with Session() as session:
        return len(session.scalars(select(Book).offset(2).limit(2)).all())  # mend


@repaired(page_without_order)
def page_in_order():
    with Session() as session:
        return len(session.scalars(select(Book).order_by(Book.id).offset(2).limit(2)).all())


@innocent("QS309")
def one_by_unique_column():
    with Session() as session:
        return session.scalars(select(Book.title).where(Book.isbn == "isbn-1").limit(1)).first()


@innocent("QS309")
def existence_by_limit():
    with Session() as session:
        return session.scalar(select(1).where(Book.status == "ready").limit(1)) is not None


@dirty("QS312", table="reading")
def leading_wildcard():
    ends = Reading.comment.like("%-1")
    with Session() as session:
        return session.scalar(select(func.count(Reading.id)).where(ends))  # mend


@repaired(leading_wildcard)
def prefix_search():
    begins = Reading.comment.like("-1%")
    with Session() as session:
        return session.scalar(select(func.count(Reading.id)).where(begins))


@innocent("QS312")
def or_on_one_column():
    with Session() as session:
        either = or_(Reading.sensor == 1, Reading.sensor == 2)
        return session.scalar(select(func.count(Reading.id)).where(either))


@innocent("QS312", also=("QS401",))
def in_range():
    with Session() as session:
        return session.scalar(select(func.count(Reading.id)).where(Reading.taken.between(1, 9)))


@dirty("QS313", table="book", also=("QS102",))
def values_in_the_text():
    found = []
    with data.engine.connect() as connection:
        for key in (1, 2):  # mend
            found.append(
                connection.scalar(text(f"SELECT title FROM book WHERE id = {key}"))
            )  # mend
    return found


@repaired(values_in_the_text, also=("QS102",))
def values_as_parameters():
    found = []
    statement = text("SELECT title FROM book WHERE id = :key")
    with data.engine.connect() as connection:
        for key in (1, 2):
            found.append(connection.scalar(statement, {"key": key}))
    return found


@innocent("QS313")
def constant_of_the_statement():
    with data.engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM book WHERE price > 0"))


@innocent("QS313")
def limit_of_the_orm():
    with Session() as session:
        return session.scalars(select(Book.title).order_by(Book.id).limit(3)).all()


@dirty("QS315", table="book", at_least=6)
def all_rows_for_existence():
    with Session() as session:
        return len(session.scalars(select(Book)).all()) > 0  # mend


@repaired(all_rows_for_existence)
def existence():
    with Session() as session:
        return session.scalar(select(select(Book.id).exists()))


@innocent("QS315")
def count_that_is_shown():
    with Session() as session:
        return f"{session.scalar(select(func.count()).select_from(Book))} books"


@innocent("QS315")
def first_in_an_order_that_matters():
    with Session() as session:
        return session.scalars(select(Book).order_by(Book.price.desc()).limit(1)).one().title


# -- templates ---------------------------------------------------------------------------------

_templates = Environment(
    loader=DictLoader(
        {
            "books.html": "{% for book in books %}\n{{ book.title }} {{ book.author.name }}\n{% endfor %}",
            "titles.html": "{% for book in books %}\n{{ book.title }}\n{% endfor %}",
        }
    ),
    autoescape=True,
)


@dirty("QS101", relation="Book.author", table="author", also=("QS316",))
def jinja_reads_key():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()  # mend
        return _templates.get_template("books.html").render(books=books)


@repaired(jinja_reads_key)
def jinja_reads_joined_key():
    with Session() as session:
        statement = select(Book).options(joinedload(Book.author)).order_by(Book.id)
        books = session.scalars(statement).all()
        return _templates.get_template("books.html").render(books=books)


@innocent("QS101")
def jinja_shows_columns():
    with Session() as session:
        books = session.scalars(select(Book).order_by(Book.id)).all()
        return _templates.get_template("titles.html").render(books=books)
