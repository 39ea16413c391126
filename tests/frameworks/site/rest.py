"""The library as a REST API: as one writes it first, and repaired."""

from __future__ import annotations

from django.core.cache import caches
from django.db.models import Count
from rest_framework import (
    filters,
    pagination,
    routers,
    serializers,
    throttling,
    viewsets,
)
from rest_framework.decorators import action
from rest_framework.response import Response

from tests.django.library.models import Book, Genre, Publisher


class PublisherSerializer(serializers.ModelSerializer):
    """A publisher within a book."""

    class Meta:
        model = Publisher
        fields = ["name"]


class GenreSerializer(serializers.ModelSerializer):
    """A genre within a book."""

    class Meta:
        model = Genre
        fields = ["name"]


class NestedSerializer(serializers.ModelSerializer):
    """A book with a row and rows in it."""

    publisher = PublisherSerializer(read_only=True)
    genres = GenreSerializer(many=True, read_only=True)

    class Meta:
        model = Book
        fields = ["title", "publisher", "genres"]


class Pages(pagination.PageNumberPagination):
    """Five books a page."""

    page_size = 5


class NestedViewSet(viewsets.ModelViewSet):
    """Nested serializers on a bare queryset: no line of the user's runs."""

    queryset = Book.objects.order_by("pk")  # nested
    serializer_class = NestedSerializer


class NestedRepairedViewSet(viewsets.ModelViewSet):
    """The same with its relations."""

    queryset = Book.objects.select_related("publisher").prefetch_related("genres").order_by("pk")
    serializer_class = NestedSerializer


class PagedViewSet(NestedViewSet):
    """The same in pages, searched and ordered."""

    pagination_class = Pages
    filter_backends = [filters.SearchFilter, filters.OrderingFilter]
    search_fields = ["title", "publisher__name"]
    ordering_fields = ["title"]


class PagedRepairedViewSet(PagedViewSet):
    """Pages with their relations."""

    queryset = NestedRepairedViewSet.queryset


class StarsSerializer(serializers.ModelSerializer):
    """A book with what a method asks for."""

    reviews = serializers.SerializerMethodField()
    editor = serializers.CharField(source="editor.name")

    class Meta:
        model = Book
        fields = ["title", "reviews", "editor"]

    def get_reviews(self, book):
        """Count the reviews."""
        return book.reviews.count()  # method


class StarsViewSet(viewsets.ReadOnlyModelViewSet):
    """A method of the serializer's counts for each book, a dotted source loads a row."""

    queryset = Book.objects.order_by("pk")  # stars
    serializer_class = StarsSerializer


class StarsRepairedSerializer(StarsSerializer):
    """The method reads what was counted."""

    def get_reviews(self, book):
        """Return the count."""
        return book.counted


class StarsRepairedViewSet(StarsViewSet):
    """One statement with the counts."""

    queryset = (
        Book.objects.select_related("editor").annotate(counted=Count("reviews")).order_by("pk")
    )
    serializer_class = StarsRepairedSerializer


class LinkSerializer(serializers.ModelSerializer):
    """Foreign keys as keys: they are in the row already."""

    class Meta:
        model = Book
        fields = ["title", "publisher", "editor"]


class LinkViewSet(viewsets.ModelViewSet):
    """An innocent look-alike: relations by key."""

    queryset = Book.objects.order_by("pk")
    serializer_class = LinkSerializer

    def get_queryset(self):
        """Write what the class attribute says, in a method."""
        return Book.objects.order_by("pk")

    @action(detail=True)
    def similar(self, request, pk=None):
        """Two equal-looking look-ups of one object: the object and its genres' books."""
        book = self.get_object()
        return Response(
            LinkSerializer(Book.objects.filter(publisher=book.publisher), many=True).data
        )


class Throttle(throttling.AnonRateThrottle):
    """Counts requests in a table of the database."""

    rate = "1000/day"

    @property
    def cache(self):
        """The cache in the database, which only this site has."""
        return caches["database"]


class ThrottledViewSet(LinkViewSet):
    """Asks the cache's table at each request."""

    throttle_classes = [Throttle, Throttle]


class BrokenViewSet(LinkViewSet):
    """Raises."""

    def list(self, request):
        """Raise after a statement."""
        Book.objects.count()
        raise RuntimeError("broken on purpose")


router = routers.DefaultRouter()
for name, viewset in [
    ("nested", NestedViewSet),
    ("nested-repaired", NestedRepairedViewSet),
    ("paged", PagedViewSet),
    ("paged-repaired", PagedRepairedViewSet),
    ("stars", StarsViewSet),
    ("stars-repaired", StarsRepairedViewSet),
    ("links", LinkViewSet),
    ("throttled", ThrottledViewSet),
    ("broken", BrokenViewSet),
]:
    router.register(name, viewset, basename=name)
