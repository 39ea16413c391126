"""The tables of a shop, and the sessions on them."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Numeric, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker


class Base(DeclarativeBase):
    """All tables."""


class Customer(Base):
    """Who orders."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str | None]
    zone: Mapped[str]
    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Category(Base):
    """A shelf; the first level has no parent."""

    __tablename__ = "category"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    rank: Mapped[int]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))


class Product(Base):
    """What is sold; what is not active any more stays for old orders."""

    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    stock: Mapped[int | None]
    active: Mapped[bool]
    category_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
    category: Mapped[Category | None] = relationship()
    reviews: Mapped[list[Review]] = relationship(back_populates="product")


class Review(Base):
    """What somebody thinks of a product; stars may be missing."""

    __tablename__ = "review"
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    stars: Mapped[int | None]
    text: Mapped[str]
    product: Mapped[Product] = relationship(back_populates="reviews")


class Order(Base):
    """An order; one of the counter has no customer."""

    __tablename__ = "purchase"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    placed: Mapped[datetime]
    status: Mapped[str]
    discount: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    customer: Mapped[Customer | None] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(back_populates="order", order_by="Line.id")


class Line(Base):
    """So many of a product at the price of the day; the product may be gone."""

    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("purchase.id"))
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    quantity: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product | None] = relationship()


class Audit(Base):
    """What was done to an order."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]
    what: Mapped[str]


url = os.environ.get("SHOP_DATABASE") or "sqlite:///shop.db"
engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
Session = sessionmaker(engine)
