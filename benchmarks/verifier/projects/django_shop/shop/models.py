"""The tables of a shop."""

from __future__ import annotations

from django.db import models


class Customer(models.Model):
    """Who orders."""

    name = models.TextField()
    city = models.TextField(null=True)
    zone = models.TextField()

    class Meta:
        db_table = "customer"
        managed = False


class Category(models.Model):
    """A shelf; the first level has no parent."""

    name = models.TextField()
    rank = models.IntegerField()
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="below")

    class Meta:
        db_table = "category"
        managed = False


class OnSale(models.Manager):
    """What is still sold."""

    def get_queryset(self):
        """Leave out what is not active."""
        return super().get_queryset().filter(active=True)


class Product(models.Model):
    """What is sold; what is not active any more stays for old orders."""

    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.IntegerField(null=True)
    active = models.BooleanField()
    category = models.ForeignKey(Category, models.PROTECT, null=True)

    objects = OnSale()
    everything = models.Manager()

    class Meta:
        db_table = "product"
        managed = False


class Review(models.Model):
    """What somebody thinks of a product; stars may be missing."""

    product = models.ForeignKey(Product, models.PROTECT, related_name="reviews")
    stars = models.IntegerField(null=True)
    text = models.TextField()

    class Meta:
        db_table = "review"
        managed = False


class Order(models.Model):
    """An order; one of the counter has no customer."""

    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="orders")
    placed = models.DateTimeField()
    status = models.TextField()
    discount = models.DecimalField(max_digits=10, decimal_places=2, null=True)

    class Meta:
        db_table = "purchase"
        managed = False


class Line(models.Model):
    """So many of a product at the price of the day; the product may be gone."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, null=True)
    quantity = models.IntegerField()
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        db_table = "line"
        managed = False
        ordering = ("id",)


class Audit(models.Model):
    """What was done to an order."""

    order_id = models.IntegerField()
    what = models.TextField()

    class Meta:
        db_table = "audit"
        managed = False
