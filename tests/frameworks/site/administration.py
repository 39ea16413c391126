"""The library in Django's admin: as one writes it first, and repaired."""

from __future__ import annotations

from django.contrib import admin

from tests.django.library.models import Author, Book, BookDetail, Genre, Publisher, Review


class PublisherAdmin(admin.ModelAdmin):
    """Searched by the autocomplete of a book's form."""

    search_fields = ["name"]
    ordering = ["name"]


class ReviewInline(admin.TabularInline):
    """The reviews within a book's form."""

    model = Review
    extra = 0


class SequelInline(admin.TabularInline):
    """The sequels within a book's form: each has the choices of its foreign keys."""

    model = Book
    fk_name = "sequel_of"
    fields = ["title", "publisher", "editor"]
    extra = 0


class BookAdmin(admin.ModelAdmin):
    """A list whose columns ask for each row."""

    list_display = ["title", "publisher_name", "stars"]
    search_fields = ["title"]
    inlines = [ReviewInline]
    actions = ["shout", "shout_at_once"]

    def publisher_name(self, book):
        """Name the publisher."""
        return book.publisher.name  # column

    def stars(self, book):
        """Count the reviews."""
        return book.reviews.count()  # counted

    @admin.action
    def shout(self, request, queryset):
        """Write each title in capitals, one by one."""
        for book in queryset:
            book.title = book.title.upper()
            book.save()  # action

    @admin.action
    def shout_at_once(self, request, queryset):
        """Write the titles in capitals in one statement."""
        books = list(queryset)
        for book in books:
            book.title = book.title.upper()
        Book.objects.bulk_update(books, ["title"])


class RepairedBookAdmin(BookAdmin):
    """The list with what its columns read."""

    list_display = ["title", "publisher_name"]
    list_select_related = ["publisher"]
    autocomplete_fields = ["publisher"]


class PlainBookAdmin(admin.ModelAdmin):
    """Columns by name alone: nothing of the user's runs but what the model says."""

    list_display = ["title", "publisher", "editor", "detail"]
    list_filter = ["publisher", "genres"]


class InlinesBookAdmin(admin.ModelAdmin):
    """A form whose inlines have the same choices in each row."""

    inlines = [SequelInline]


class DetailAdmin(admin.ModelAdmin):
    """A list whose rows are named by a model's own ``__str__``."""

    list_display = ["__str__"]


def site_of(name, book_admin):
    """Return an admin site with a way to administrate books."""
    site = admin.AdminSite(name=name)
    site.register(Publisher, PublisherAdmin)
    site.register(Author)
    site.register(Genre)
    site.register(BookDetail, DetailAdmin)
    site.register(Book, book_admin)
    return site


SITES = {
    "dirty": site_of("dirty", BookAdmin),
    "repaired": site_of("repaired", RepairedBookAdmin),
    "plain": site_of("plain", PlainBookAdmin),
    "inlines": site_of("inlines", InlinesBookAdmin),
}
