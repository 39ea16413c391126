"""Two tables with a relation, for SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Where the tables belong."""


class Shelf(Base):
    """Has slots."""

    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    slots: Mapped[list[Slot]] = relationship(back_populates="shelf")


class Slot(Base):
    """Belongs to a shelf."""

    __tablename__ = "slot"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="slots")
