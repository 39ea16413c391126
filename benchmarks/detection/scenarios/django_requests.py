"""Django: connections, transactions, writes of safe methods, logs and calls (QS5 and QS6)."""

from __future__ import annotations

import http.server
import logging
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.shortcuts import render

from benchmarks.detection.django_shelf.models import Author, Book, Entry, Option, Stock, Tag
from benchmarks.detection.scenario import dirty, innocent, repaired

IDLE_S = 1.0
"""Longer than a busy machine makes anybody wait."""

log = logging.getLogger("shelf")


@cache
def _server():
    """Return the address of a web server of our own, which answers all with a word."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def _called(path=""):
    with urllib.request.urlopen(f"{_server()}/{path}", timeout=5) as answer:
        return answer.read().decode()


# -- QS501 -------------------------------------------------------------------------------------


def _closing(work):
    try:
        return work()
    finally:
        connection.close()


@dirty("QS501")
def connection_of_each_thread():
    """One thread after the other, and each opens a connection of its own."""
    found = []
    for model in (Book, Author, Tag):
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(_closing, model.objects.count).result())
    return found


@repaired(connection_of_each_thread)
def counts_of_one_thread():
    return [model.objects.count() for model in (Book, Author, Tag)]


@dirty("QS501")
def reopened_again_and_again():
    found = []
    for model in (Book, Author, Tag):
        found.append(model.objects.count())
        connection.close()
    return found


@repaired(reopened_again_and_again)
def kept_open():
    return [model.objects.count() for model in (Book, Author, Tag)]


@innocent("QS501")
def one_connection_of_each_alias():
    return [Book.objects.count(), Book.objects.using("second").count()]


@innocent("QS501", way="get")
def one_connection(request):
    return HttpResponse(str(Book.objects.count() + Author.objects.count()))


# -- QS502, QS506: connections and transactions that wait --------------------------------------


@dirty("QS502", writes=True, accept=("QS506",), also=("QS506", "QS603"))
def sleeps_within_a_transaction():
    with transaction.atomic():
        Entry.objects.create(text="new")
        time.sleep(IDLE_S)
        return Entry.objects.count()


@repaired(sleeps_within_a_transaction)
def sleeps_before_the_transaction():
    time.sleep(IDLE_S)
    with transaction.atomic():
        Entry.objects.create(text="new")
        return Entry.objects.count()


@innocent("QS502")
def sleeps_without_a_transaction():
    """The connection is this thread's, whether it is used or not: there is no pool."""
    count = Book.objects.count()
    time.sleep(IDLE_S)
    return count + Author.objects.count()


@innocent("QS502", writes=True)
def short_transaction():
    with transaction.atomic():
        Entry.objects.create(text="new")
        return Entry.objects.count()


@dirty("QS506", writes=True, accept=("QS502",), also=("QS502",))
def calls_within_a_transaction():
    with transaction.atomic():
        Entry.objects.create(text="new")
        word = _called()
        time.sleep(IDLE_S)
        Entry.objects.update(text=word)
    return Entry.objects.count()


@repaired(calls_within_a_transaction)
def calls_before_the_transaction():
    word = _called()
    time.sleep(IDLE_S)
    with transaction.atomic():
        Entry.objects.create(text=word)
    return Entry.objects.count()


@innocent("QS506", writes=True)
def ten_writes_in_a_transaction():
    with transaction.atomic():
        Entry.objects.bulk_create([Entry(text="new", number=n) for n in range(10)])
        Option.objects.filter(name="option 1").update(value="x")
    return Entry.objects.count()


@innocent("QS506")
def call_without_a_transaction():
    return [Book.objects.count(), _called()]


# -- QS507 -------------------------------------------------------------------------------------


@dirty("QS507", writes=True, at_least=6, accept=("QS107",))
def transaction_of_each_write():
    for number in range(6):
        Entry.objects.create(text="new", number=number)
    return Entry.objects.count()


@repaired(transaction_of_each_write, also=("QS107",))
def one_transaction_for_all():
    with transaction.atomic():
        for number in range(6):
            Entry.objects.create(text="new", number=number)
    return Entry.objects.count()


@dirty("QS507", writes=True, at_least=6)
def unit_of_work_without_one():
    """Stock, order and option belong together; an error between them leaves a part."""
    Stock.objects.filter(book_id=1).update(quantity=4)
    Entry.objects.create(text="sold", number=1)
    Option.objects.filter(name="option 1").update(value="sold")
    Book.objects.filter(pk=1).update(status="sold")
    Author.objects.filter(pk=1).update(country="FR")
    Tag.objects.filter(pk=1).update(name="sold")
    return Entry.objects.count()


@repaired(unit_of_work_without_one)
def unit_of_work_in_one():
    with transaction.atomic():
        Stock.objects.filter(book_id=1).update(quantity=4)
        Entry.objects.create(text="sold", number=1)
        Option.objects.filter(name="option 1").update(value="sold")
        Book.objects.filter(pk=1).update(status="sold")
        Author.objects.filter(pk=1).update(country="FR")
        Tag.objects.filter(pk=1).update(name="sold")
    return Entry.objects.count()


@innocent("QS507", writes=True)
def one_write():
    Entry.objects.create(text="new")
    return Entry.objects.count()


@innocent("QS507", writes=True)
def one_bulk_write():
    Entry.objects.bulk_create([Entry(text="new", number=n) for n in range(40)])
    return Entry.objects.count()


# -- QS509 -------------------------------------------------------------------------------------


@dirty("QS509", way="get", writes=True)
def get_writes(request):
    Entry.objects.create(text="seen")
    return HttpResponse(str(Entry.objects.count()))


@repaired(get_writes, way="post")
def post_writes(request):
    Entry.objects.create(text="seen")
    return HttpResponse(str(Entry.objects.count()))


@dirty("QS509", way="get", writes=True, also=("QS108",))
def get_counts_the_views(request):
    stock = Stock.objects.get(book_id=1)
    stock.quantity += 1
    stock.save(update_fields=["quantity"])
    return HttpResponse(str(stock.quantity))


@innocent("QS509", way="get")
def get_reads(request):
    return HttpResponse(str(Book.objects.count()))


@innocent("QS509", way="get", writes=True)
def get_touches_its_session(request):
    """The session of a visitor is written by its middleware."""
    request.session["seen"] = 1
    return HttpResponse("ok")


# -- QS503, QS504, QS505, QS508, QS510 to QS512: nothing of this kind without a pool -------------


@innocent("QS503")
def connection_kept_for_the_next():
    """CONN_MAX_AGE keeps it open on purpose."""
    return Book.objects.count()


@innocent("QS505")
def two_aliases_at_once():
    with transaction.atomic(), transaction.atomic(using="second"):
        return [Book.objects.count(), Author.objects.using("second").count()]


@innocent("QS508")
def threads_with_their_own():
    with ThreadPoolExecutor(1) as pool:
        return f"{pool.submit(_closing, Book.objects.count).result()} books"


@innocent("QS510")
def aliases_used_as_configured():
    return [connections[alias].vendor for alias in ("default", "second")]


# -- QS601, QS603 ------------------------------------------------------------------------------


@dirty("QS601", at_least=50, also=("QS207",))  # all are fetched, then counted
def logged_for_each():
    for book in Book.objects.order_by("pk"):  # mend
        for turn in range(4):  # mend
            log.warning("book %s, turn %s", book.pk, turn)  # mend
    return Book.objects.count()


@repaired(logged_for_each)
def logged_once():
    count = Book.objects.count()
    log.warning("%s books", count)
    return count


@innocent("QS601")
def logged_three_times():
    log.warning("begin")
    count = Book.objects.count()
    log.warning("counted")
    log.warning("end")
    return count


@innocent("QS601")
def logged_below_the_level():
    quiet = logging.getLogger("shelf.quiet")
    quiet.setLevel(logging.ERROR)
    for book in Book.objects.order_by("pk"):
        quiet.debug("book %s", book.pk)
    return "quiet"


@dirty("QS603", at_least=6)
def called_for_each():
    return [_called(str(book.pk)) for book in Book.objects.order_by("pk")[:6]]  # mend


@repaired(called_for_each)
def called_once():
    books = Book.objects.order_by("pk")[:6]
    word = _called("all")
    return [word for book in books]


@innocent("QS603")
def called_twice_for_two_things():
    return [_called("one"), _called("two"), Book.objects.count()]


@innocent("QS603")
def retried_call():
    for _ in range(3):
        if _called("again") == "never":
            break
        time.sleep(0.001)
    return Book.objects.count()


# -- QS602 -------------------------------------------------------------------------------------


@dirty("QS602", way="get", at_least=50, also=("QS316",))
def slow_template(request):
    books = [_Slow(book) for book in Book.objects.order_by("pk")]
    return render(request, "titles.html", {"books": books})


@repaired(slow_template)
def quick_template(request):
    return render(request, "titles.html", {"books": list(Book.objects.order_by("pk"))})


class _Slow:
    """A row whose title takes long to say."""

    def __init__(self, book):
        self.book = book

    @property
    def title(self):
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass
        return self.book.title


@innocent("QS602", way="get")
def template_of_few_rows(request):
    return render(request, "titles.html", {"books": list(Book.objects.order_by("pk")[:3])})


@innocent("QS602", way="get")
def no_template(request):
    return HttpResponse("ok")
