"""Which relation a manager's queryset was made for, where a table joins more than two classes."""

from __future__ import annotations

import pytest
from django.db import models
from django.test.utils import isolate_apps

from queryscope.django.relations import manager_relation


@pytest.fixture
def classes():
    """Readers who put labels on books, and follow each other: nothing of it is in a database."""
    with isolate_apps("tests.django.library"):

        class Reader(models.Model):
            follows = models.ManyToManyField(
                "self", symmetrical=False, related_name="followers", through="Follow"
            )

            class Meta:
                app_label = "library"

        class Follow(models.Model):
            who = models.ForeignKey(Reader, models.CASCADE, related_name="+")
            whom = models.ForeignKey(Reader, models.CASCADE, related_name="+")

            class Meta:
                app_label = "library"

        class Paper(models.Model):
            class Meta:
                app_label = "library"

        class Label(models.Model):
            papers = models.ManyToManyField(Paper, through="Labelling", related_name="labels")
            readers = models.ManyToManyField(Reader, through="Labelling", related_name="labels")

            class Meta:
                app_label = "library"

        class Labelling(models.Model):
            label = models.ForeignKey(Label, models.CASCADE)
            paper = models.ForeignKey(Paper, models.CASCADE)
            reader = models.ForeignKey(Reader, models.CASCADE)

            class Meta:
                app_label = "library"

        yield {"Reader": Reader, "Paper": Paper, "Label": Label}


@pytest.mark.parametrize(
    ("owner", "attribute"),
    [
        ("Label", "papers"),
        ("Label", "readers"),
        ("Paper", "labels"),
        ("Reader", "labels"),
        ("Reader", "follows"),
        ("Reader", "followers"),
    ],
)
def test_relations_through_one_table_keep_their_names(classes, owner, attribute):
    """The class at the other end tells two apart, the key in the table both ends of one."""
    parent = classes[owner](pk=1)
    queryset = getattr(parent, attribute).all()
    found = manager_relation(queryset, queryset.query, parent)
    assert found == ("many_to_many", classes[owner], attribute)
