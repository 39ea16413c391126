"""What Django's models promise, translated and compared with what Django made of them."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from queryscope.django.declared import declared, model_of
from queryscope.plans.catalogue import schema_of
from queryscope.plans.declared import missing
from tests.django.library.models import Book, BookDetail


def rules(model):
    """Return (kind, columns, how the model says it) of each promise, without those of not null."""
    return [
        (rule.kind, rule.columns, rule.text)
        for rule in model_of(model).rules
        if rule.kind != "not null"
    ]


@pytest.mark.django_db
def test_migrated_tables_keep_what_all_models_promise():
    """Django's own models, many-to-many tables and inheritance among them."""
    connection.ensure_connection()
    schema = schema_of(connection.connection, "sqlite")
    found = declared()["default"]
    assert len([model for model in found if schema.table(model.table)]) > 10
    assert [(model.name, rule) for model in found for rule in missing(model, schema)] == []


def test_model_says_where_it_is():
    """Its file, module and class, for the line to mend."""
    found = model_of(Book)
    assert (found.name, found.table) == ("library.Book", "library_book")
    assert found.file.endswith("library/models.py")
    assert (found.module, found.scope) == (Book.__module__, "Book")


def test_relations_are_foreign_keys():
    """One to one is unique as well; a generic key is none."""
    assert rules(BookDetail) == [
        ("unique", ("book_id",), "OneToOneField"),
        ("foreign key", ("book_id",), "OneToOneField"),
    ]
    refers = {rule.refers for rule in model_of(Book).rules if rule.kind == "foreign key"}
    assert refers == {"library_publisher", "library_author", "library_book"}


@isolate_apps("tests.django.library")
def test_every_way_to_say_it_is_read():
    """Fields, pairs of them, constraints with and without conditions."""

    class Copy(models.Model):
        code = models.CharField(max_length=9, unique=True, db_column="code_of_copy")
        shelf = models.IntegerField(null=True)
        place = models.IntegerField()
        book = models.ForeignKey(Book, models.DO_NOTHING, db_constraint=False)
        kind = models.ForeignKey(ContentType, models.CASCADE)
        about = GenericForeignKey("kind", "place")

        class Meta:
            app_label = "library"
            unique_together = [("shelf", "book")]
            constraints = [
                models.UniqueConstraint(fields=["place"], name="one_place"),
                models.UniqueConstraint(fields=["shelf"], condition=Q(place=1), name="one_shelf"),
                models.UniqueConstraint(Lower("code"), name="one_code"),
                models.CheckConstraint(condition=Q(place__gt=0), name="positive"),
            ]

    assert rules(Copy) == [
        ("unique", ("code_of_copy",), "CharField(unique=True)"),
        ("foreign key", ("book_id",), "db_constraint=False"),
        ("foreign key", ("kind_id",), "ForeignKey"),
        ("unique", ("shelf", "book_id"), "unique_together = ('shelf', 'book')"),
        ("unique", ("place",), "UniqueConstraint('one_place')"),
        ("unique", ("shelf",), "UniqueConstraint('one_shelf')"),
        ("unique", (), "UniqueConstraint('one_code')"),
    ]
    found = model_of(Copy).rules
    assert [rule.columns for rule in found if rule.kind == "not null"] == [
        ("code_of_copy",), ("place",), ("book_id",), ("kind_id",),
    ]  # fmt: skip
    assert [rule.name for rule in found if rule.partial] == ["one_shelf", "one_code"]
    assert [rule.attribute for rule in found if rule.on_purpose] == ["book"]


@isolate_apps("tests.django.library")
def test_key_and_inheritance_promise_nothing_of_their_own():
    """The key is one anyway; the parent's columns are the parent's."""

    class Parent(models.Model):
        code = models.CharField(max_length=9, unique=True)

        class Meta:
            app_label = "library"

    class Child(Parent):
        class Meta:
            app_label = "library"

    assert rules(Child) == []
