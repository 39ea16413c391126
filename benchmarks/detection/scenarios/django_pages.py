"""Django: what templates, serializers, the admin, resolvers, streams, tasks and commands ask."""

from __future__ import annotations

import json
from io import StringIO

import strawberry
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db.models import Count, Prefetch, Sum
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.test import Client
from django.views.generic import ListView
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.response import Response
from strawberry.dataloader import DataLoader

from benchmarks.detection.django_shelf import data
from benchmarks.detection.django_shelf.models import Author, Book, Option, Publisher, Review, Tag
from benchmarks.detection.scenario import dirty, innocent, repaired

SEEN = ("QS316",)
"""True of what a template or serializer asks, beside the loop that it is."""

# -- templates ---------------------------------------------------------------------------------


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN)
def template_reads_key(request):
    books = Book.objects.order_by("pk")  # mend
    return render(request, "books_author.html", {"books": books})


@repaired(template_reads_key)
def template_reads_joined_key(request):
    books = Book.objects.select_related("author").order_by("pk")
    return render(request, "books_author.html", {"books": books})


@dirty("QS101", relation="Author.books", table="book", way="get", also=SEEN)
def template_reads_collection(request):
    authors = Author.objects.order_by("pk")  # mend
    return render(request, "authors_books.html", {"authors": authors})


@repaired(template_reads_collection)
def template_reads_prefetched_collection(request):
    authors = Author.objects.prefetch_related("books").order_by("pk")
    return render(request, "authors_books.html", {"authors": authors})


@dirty("QS101", relation="Book.reviews", table="review", way="get", also=SEEN)
def template_filter_asks(request):
    books = Book.objects.order_by("pk")  # mend
    return render(request, "books_stars.html", {"books": books})


@repaired(template_filter_asks)
def template_filter_reads_prefetched(request):
    books = Book.objects.prefetch_related("reviews").order_by("pk")
    return render(request, "books_stars.html", {"books": books})


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN)
def template_tag_asks(request):
    books = Book.objects.order_by("pk")  # mend
    return render(request, "books_tag.html", {"books": books})


@repaired(template_tag_asks)
def template_tag_reads_joined(request):
    books = Book.objects.select_related("author").order_by("pk")
    return render(request, "books_tag.html", {"books": books})


@dirty("QS103", relation="reviews", table="review", way="get", also=SEEN)
def template_counts(request):
    books = Book.objects.order_by("pk")  # mend
    return render(request, "books_count.html", {"books": books})


@repaired(template_counts)
def template_shows_annotation(request):
    books = Book.objects.annotate(count=Count("reviews")).order_by("pk")
    return render(request, "books_count_annotated.html", {"books": books})


@dirty("QS101", relation="Book.publisher", table="publisher", way="get", also=SEEN)
def included_template_reads_key(request):
    books = Book.objects.order_by("pk")  # mend
    return render(request, "child.html", {"books": books})


@repaired(included_template_reads_key)
def included_template_reads_joined_key(request):
    books = Book.objects.select_related("publisher").order_by("pk")
    return render(request, "child.html", {"books": books})


class _Books(ListView):
    template_name = "books_author.html"
    context_object_name = "books"
    queryset = Book.objects.order_by("pk")  # mend: list_view_reads_key


class _JoinedBooks(_Books):
    queryset = Book.objects.select_related("author").order_by("pk")


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN)
def list_view_reads_key(request):
    return _Books.as_view()(request)


@repaired(list_view_reads_key)
def list_view_reads_joined_key(request):
    return _JoinedBooks.as_view()(request)


@dirty("QS201", table="author", way="get", also=("QS207", *SEEN))
def template_evaluates_twice(request):
    return render(request, "twice.html", {"authors": Author.objects.order_by("pk")})


@repaired(template_evaluates_twice)
def template_evaluates_once(request):
    return render(request, "twice.html", {"authors": _Kept()})


class _Kept:
    """Answers as a queryset does, from rows that were loaded once."""

    def __init__(self):
        self.rows = list(Author.objects.order_by("pk"))

    def all(self):
        return self.rows

    def count(self):
        return len(self.rows)


@innocent("QS101", way="get", also=SEEN)
def template_shows_columns(request):
    return render(request, "titles.html", {"books": Book.objects.order_by("pk")})


@innocent("QS101", way="get")
def template_of_one_object(request):
    books = [Book.objects.get(pk=1)]
    return render(request, "books_author.html", {"books": books})


@innocent("QS316", way="get")
def template_of_loaded_rows(request):
    books = list(Book.objects.select_related("author").order_by("pk"))
    return render(request, "books_author.html", {"books": books})


@dirty("QS316", way="get", table="option")
def tag_asks_the_database(request):
    return render(request, "options.html", {})


@repaired(tag_asks_the_database)
def view_asks_the_database(request):
    return render(request, "options_shown.html", {"options": Option.objects.count()})


@innocent("QS101", way="get", also=SEEN)
def queryset_runs_in_the_template(request):
    """The view has made it; that it is the template that iterates is how Django means it."""
    return render(request, "titles.html", {"books": Book.objects.order_by("pk")})


@innocent("QS316", way="get")
def text_without_a_template(request):
    return HttpResponse(", ".join(Book.objects.values_list("title", flat=True)))


# -- streams -----------------------------------------------------------------------------------


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN)
def streamed_lines(request):
    books = Book.objects.order_by("pk")  # mend
    return StreamingHttpResponse(f"{book.author.name}\n" for book in books)


@repaired(streamed_lines)
def streamed_joined_lines(request):
    books = Book.objects.select_related("author").order_by("pk")
    return StreamingHttpResponse(f"{book.author.name}\n" for book in books)


@dirty("QS101", relation="Author.books", table="book", way="get", also=SEEN)
async def async_streamed_lines(request):
    async def lines():
        async for author in Author.objects.order_by("pk"):  # mend
            yield f"{author.name} {[book.title async for book in author.books.all()]}\n"

    return StreamingHttpResponse(lines())


@repaired(async_streamed_lines)
async def async_streamed_prefetched_lines(request):
    async def lines():
        async for author in Author.objects.prefetch_related("books").order_by("pk"):
            yield f"{author.name} {[book.title for book in author.books.all()]}\n"

    return StreamingHttpResponse(lines())


@innocent("QS101", way="get")
def streamed_batches(request):
    books = Book.objects.prefetch_related("tags").order_by("pk").iterator(chunk_size=20)
    return StreamingHttpResponse(f"{len(book.tags.all())}\n" for book in books)


# -- async views -------------------------------------------------------------------------------


@dirty("QS102", table="author", way="get")
async def async_view_gets(request):
    names = []
    async for book in Book.objects.order_by("pk"):  # mend
        names.append((await Author.objects.aget(pk=book.author_id)).name)  # mend
    return JsonResponse({"names": names})


@repaired(async_view_gets)
async def async_view_joins(request):
    books = Book.objects.select_related("author").order_by("pk")
    return JsonResponse({"names": [book.author.name async for book in books]})


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN)
async def async_view_renders(request):
    books = [book async for book in Book.objects.order_by("pk")]  # mend
    return await sync_to_async(render)(request, "books_author.html", {"books": books})


@repaired(async_view_renders)
async def async_view_renders_joined(request):
    books = [book async for book in Book.objects.select_related("author").order_by("pk")]
    return await sync_to_async(render)(request, "books_author.html", {"books": books})


# -- REST framework ----------------------------------------------------------------------------


_api = api_view(["GET"])


class _AuthorOut(serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ["name", "country"]


class _ReviewOut(serializers.ModelSerializer):
    class Meta:
        model = Review
        fields = ["stars"]


class _BookOut(serializers.ModelSerializer):
    author = _AuthorOut()

    class Meta:
        model = Book
        fields = ["title", "author"]


class _BookWithReviews(serializers.ModelSerializer):
    reviews = _ReviewOut(many=True)

    class Meta:
        model = Book
        fields = ["title", "reviews"]


class _BookWithMethod(serializers.ModelSerializer):
    stars = serializers.SerializerMethodField()

    class Meta:
        model = Book
        fields = ["title", "stars"]

    def get_stars(self, book):
        return book.reviews.aggregate(total=Sum("stars"))["total"]


class _BookWithAnnotation(serializers.ModelSerializer):
    stars = serializers.IntegerField()

    class Meta:
        model = Book
        fields = ["title", "stars"]


class _BookWithKeys(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["title", "author", "publisher"]


class _BookWithTags(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["title", "tags"]


class _BookWithSource(serializers.ModelSerializer):
    by = serializers.CharField(source="author.name")

    class Meta:
        model = Book
        fields = ["title", "by"]


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN, served_by=_api)
def nested_serializer(request):
    return Response(_BookOut(Book.objects.order_by("pk"), many=True).data)


@repaired(nested_serializer)
def nested_serializer_joined(request):
    books = Book.objects.select_related("author").order_by("pk")
    return Response(_BookOut(books, many=True).data)


@dirty("QS101", relation="Book.reviews", table="review", way="get", also=SEEN, served_by=_api)
def nested_list_serializer(request):
    return Response(_BookWithReviews(Book.objects.order_by("pk"), many=True).data)


@repaired(nested_list_serializer)
def nested_list_serializer_prefetched(request):
    books = Book.objects.prefetch_related("reviews").order_by("pk")
    return Response(_BookWithReviews(books, many=True).data)


@dirty("QS103", relation="reviews", table="review", way="get", also=SEEN, served_by=_api)
def method_field(request):
    return Response(_BookWithMethod(Book.objects.order_by("pk"), many=True).data)


@repaired(method_field)
def method_field_annotated(request):
    books = Book.objects.annotate(stars=Sum("reviews__stars")).order_by("pk")
    return Response(_BookWithAnnotation(books, many=True).data)


@dirty("QS101", relation="Book.tags", table="tag", way="get", also=SEEN, served_by=_api)
def keys_of_many_to_many(request):
    return Response(_BookWithTags(Book.objects.order_by("pk"), many=True).data)


@repaired(keys_of_many_to_many)
def keys_of_many_to_many_prefetched(request):
    books = Book.objects.prefetch_related("tags").order_by("pk")
    return Response(_BookWithTags(books, many=True).data)


@dirty("QS101", relation="Book.author", table="author", way="get", also=SEEN, served_by=_api)
def dotted_source(request):
    return Response(_BookWithSource(Book.objects.order_by("pk"), many=True).data)


@repaired(dotted_source)
def dotted_source_joined(request):
    books = Book.objects.select_related("author").order_by("pk")
    return Response(_BookWithSource(books, many=True).data)


@innocent("QS101", way="get", also=SEEN, served_by=_api)
def serialized_keys(request):
    return Response(_BookWithKeys(Book.objects.order_by("pk"), many=True).data)


@innocent("QS101", way="get", served_by=_api)
def one_serialized_object(request):
    return Response(_BookOut(Book.objects.get(pk=1)).data)


@innocent("QS101", way="get", also=SEEN, served_by=_api)
def serialized_deep_prefetch(request):
    reviews = Prefetch("reviews", Review.objects.order_by("pk"))
    books = Book.objects.prefetch_related(reviews).order_by("pk")
    return Response(_BookWithReviews(books, many=True).data)


# -- the admin ---------------------------------------------------------------------------------


class _ReviewAdmin(admin.ModelAdmin):  # mend: admin_list_asks
    list_display = ["__str__", "stars"]  # mend: admin_list_asks


class _BookAdmin(admin.ModelAdmin):
    list_display = ["title", "author"]
    list_select_related = ["author"]


class _PublisherAdmin(admin.ModelAdmin):
    list_display = ["name", "books_count"]

    def books_count(self, publisher):
        return publisher.books.count()


class _TagAdmin(admin.ModelAdmin):
    list_display = ["name"]


admin.site.register(Review, _ReviewAdmin)
admin.site.register(Book, _BookAdmin)
admin.site.register(Publisher, _PublisherAdmin)
admin.site.register(Tag, _TagAdmin)


COUNTED_TWICE = (*SEEN, "QS201")
"""Django's admin counts the rows of its list, and all there are, which are the same."""


def _admin_list(name):
    """Ask for the list of a model, as somebody who may see it."""
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = data.session
    response = client.get(f"/admin/django_shelf/{name}/")
    return response.status_code, len(response.content) > 1_000


@dirty("QS101", relation="Review.book", table="book", also=COUNTED_TWICE)
def admin_list_asks():
    return _admin_list("review")


@repaired(admin_list_asks, also=COUNTED_TWICE)
def admin_list_joined():
    reviews = admin.site._registry[Review]
    reviews.list_select_related = ["book"]
    try:
        return _admin_list("review")
    finally:
        reviews.list_select_related = False


@dirty("QS103", relation="books", table="book", also=COUNTED_TWICE)
def admin_column_counts():
    return _admin_list("publisher")


@innocent("QS101", also=COUNTED_TWICE)
def admin_list_of_joined_rows():
    return _admin_list("book")


@innocent("QS101", also=COUNTED_TWICE)
def admin_list_of_plain_rows():
    return _admin_list("tag")


@innocent("QS201")
def logged_in_user_and_session():
    """The session and its user are asked for at each request: nobody can mend that."""
    user, _ = User.objects.get_or_create(username="reader")
    client = Client()
    client.force_login(user)
    return client.get("/template_shows_columns/").status_code


# -- GraphQL -----------------------------------------------------------------------------------


@strawberry.type
class _BookType:
    def __init__(self, book):
        self.book = book

    @strawberry.field
    def author_name(self) -> str:
        return self.book.author.name

    @strawberry.field
    async def loaded_name(self, info: strawberry.Info) -> str:
        return await info.context["names"].load(self.book.author_id)


@strawberry.type
class _Query:
    @strawberry.field
    def books(self) -> list[_BookType]:
        return [_BookType(book) for book in Book.objects.order_by("pk")]  # mend: graphql_resolver

    @strawberry.field
    def joined_books(self) -> list[_BookType]:
        return [_BookType(book) for book in Book.objects.select_related("author").order_by("pk")]

    @strawberry.field
    async def async_books(self) -> list[_BookType]:
        return [_BookType(book) async for book in Book.objects.order_by("pk")]


_schema = strawberry.Schema(_Query)


@dirty("QS101", relation="Book.author", table="author", way="post", also=SEEN)
def graphql_resolver(request):
    found = _schema.execute_sync("{ books { authorName } }")
    return HttpResponse(json.dumps(found.data).replace("joinedBooks", "books"))


@repaired(graphql_resolver)
def graphql_resolver_joined(request):
    found = _schema.execute_sync("{ joinedBooks { authorName } }")
    return HttpResponse(json.dumps(found.data).replace("joinedBooks", "books"))


async def _load_names(keys):
    authors = await Author.objects.ain_bulk(keys)
    return [authors[key].name for key in keys]


@innocent("QS101", way="post", also=SEEN)
async def graphql_loader(request):
    context = {"names": DataLoader(_load_names)}
    found = await _schema.execute("{ asyncBooks { loadedName } }", context_value=context)
    return HttpResponse(json.dumps(found.data))


# -- commands and tasks ------------------------------------------------------------------------


class _Export(BaseCommand):
    def handle(self, *args, **options):
        for book in Book.objects.order_by("pk"):  # mend: command_loops
            self.stdout.write(book.author.name)


class _JoinedExport(BaseCommand):
    def handle(self, *args, **options):
        for book in Book.objects.select_related("author").order_by("pk"):
            self.stdout.write(book.author.name)


def _called(command):
    out = StringIO()
    call_command(command, stdout=out, skip_checks=True)
    return out.getvalue()


@dirty("QS101", relation="Book.author", table="author")
def command_loops():
    return _called(_Export())


@repaired(command_loops)
def command_joins():
    return _called(_JoinedExport())


def _task_app():
    from celery import Celery

    app = Celery("shelf", broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True
    app.conf.task_store_eager_result = False
    return app


@dirty("QS102", table="author", accept=("QS101",))
def task_per_key():
    """A task for each row, and each asks for its own: here they run at once, in one process."""
    app = _task_app()

    @app.task
    def shout(key):
        return Author.objects.get(pk=key).name.upper()

    return [
        shout.delay(key).get() for key in Author.objects.order_by("pk").values_list("pk", flat=True)
    ]


@dirty("QS101", relation="Book.author", table="author")
def task_loops():
    app = _task_app()

    @app.task
    def names():
        return [book.author.name for book in Book.objects.order_by("pk")]  # mend

    return names.delay().get()


@repaired(task_loops)
def task_joins():
    app = _task_app()

    @app.task
    def names():
        return [book.author.name for book in Book.objects.select_related("author").order_by("pk")]

    return names.delay().get()
