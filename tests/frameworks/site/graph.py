"""The library as a GraphQL schema on Django: resolvers that ask for each row, and a loader."""

from __future__ import annotations

import strawberry
from strawberry.dataloader import DataLoader
from strawberry.django.views import AsyncGraphQLView, GraphQLView

from tests.django.library.models import Book, BookDetail, Publisher


@strawberry.type
class PublisherType:
    """A publisher."""

    name: str


@strawberry.type
class BookType:
    """A book with its publisher by a resolver, by a loader and by the attribute itself."""

    title: str
    publisher: PublisherType

    @strawberry.field
    def publisher_name(self) -> str:
        """Resolve the name with a lazy load."""
        return self.publisher.name  # resolver

    @strawberry.field
    async def loaded_name(self, info: strawberry.Info) -> str:
        """Resolve the name through the loader."""
        publisher = await info.context.publishers.load(self.publisher_id)
        return publisher.name

    @strawberry.field
    async def async_name(self) -> str:
        """Resolve the name with a query each."""
        publisher = await Publisher.objects.aget(pk=self.publisher_id)  # async resolver
        return publisher.name

    @strawberry.field
    async def isbn(self) -> str:
        """Resolve what only this book has, with a query each."""
        return (await BookDetail.objects.aget(book_id=self.pk)).isbn  # own row


@strawberry.type
class Query:
    """The entry points."""

    @strawberry.field
    def books(self) -> list[BookType]:
        """All books."""
        return Book.objects.order_by("pk")  # books

    @strawberry.field
    def joined_books(self) -> list[BookType]:
        """All books with their publishers."""
        return list(Book.objects.select_related("publisher").order_by("pk"))

    @strawberry.field
    async def async_books(self) -> list[BookType]:
        """All books, asynchronously."""
        return [book async for book in Book.objects.order_by("pk")]


async def publishers_by_key(keys):
    """Load publishers in one statement."""
    found = {p.pk: p async for p in Publisher.objects.filter(pk__in=keys)}  # loader
    return [found[key] for key in keys]


class WithLoader(AsyncGraphQLView):
    """A view whose context has a loader for each request."""

    async def get_context(self, request, response):
        """Add the loader."""
        context = await super().get_context(request, response)
        context.publishers = DataLoader(load_fn=publishers_by_key)
        return context


schema = strawberry.Schema(Query)
view = GraphQLView.as_view(schema=schema)
async_view = WithLoader.as_view(schema=schema)
