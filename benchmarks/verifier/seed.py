"""Makes the data of a shop: ``python seed.py``, with ``SHOP_DATABASE`` in the environment."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "projects" / "sqlalchemy_shop"))

from models import (
    Audit,
    Base,
    Category,
    Customer,
    Line,
    Order,
    Product,
    Review,
    Session,
    engine,
)

START = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - stored as UTC without saying so
PEOPLE = (
    ("Ann", "Oslo", "Europe/Oslo"), ("Ben", None, "UTC"), ("Cleo", "Lima", "America/Lima"),
    ("Ben", "Bonn", "Europe/Berlin"), ("Dan", "", "Asia/Tokyo"),
)  # fmt: skip
SHELVES = (
    ("tools", 1, None), ("paper", 2, None), ("paint", 2, None),
    ("saws", 2, 1), ("drills", 1, 1), ("cards", 1, 2), ("inks", 1, 2), ("empty", 3, None),
)  # fmt: skip
THINGS = (
    ("saw", "12.50", 4, True, 4), ("drill", "80.00", 0, True, 5), ("card", "0.90", None, True, 6),
    ("ink", "7.25", 12, True, 7), ("hammer", "12.50", 3, True, 1), ("lamp", "20.00", 1, False, 1),
    ("anvil", "99.99", 1, True, None), ("pad", "3.10", 40, True, 2), ("brush", "3.10", 7, True, 3),
    ("varnish", "15.75", 0, False, 3),
)  # fmt: skip


def main() -> None:
    """Make the tables and fill them."""
    Base.metadata.create_all(engine)
    with Session.begin() as session:
        session.add_all(
            Customer(id=n, name=name, city=city, zone=zone)
            for n, (name, city, zone) in enumerate(PEOPLE, 1)
        )
        for n, (name, rank, parent) in enumerate(SHELVES, 1):
            session.add(Category(id=n, name=name, rank=rank, parent_id=parent))
            session.flush()
        session.add_all(
            Product(id=n, name=name, price=Decimal(price), stock=stock, active=on, category_id=at)
            for n, (name, price, stock, on, at) in enumerate(THINGS, 1)
        )
        session.flush()
        session.add_all(
            Review(id=n, product_id=n % 7 + 1, stars=n % 6 or None, text=f"opinion {n}")
            for n in range(1, 19)
        )
        session.add_all(
            Order(
                id=n,
                customer_id=(1, 2, 1, None, 3, 1, 4)[n % 7],
                placed=START + timedelta(hours=5 * (n // 2)),
                status=("new", "paid", "sent")[n % 3],
                discount=(None, Decimal("1.50"), Decimal(0))[n % 3 - n % 2],
            )
            for n in range(1, 13)
        )
        session.flush()
        session.add_all(
            Line(
                id=n,
                order_id=n % 11 + 1,
                product_id=(1, 2, 3, None, 6, 5, 8)[n % 7],
                quantity=n % 4 + 1,
                price=Decimal(f"{n % 9 + 1}.{n % 4 * 25:02}"),
            )
            for n in range(1, 34)
        )
        session.add(Audit(id=1, order_id=1, what="made"))
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                connection.exec_driver_sql(
                    f"SELECT setval('{table.name}_id_seq', (SELECT max(id) FROM {table.name}))"
                )


if __name__ == "__main__":
    main()
