"""What the shop answers: plain data for a session, a user and what was asked."""

from __future__ import annotations

from decimal import Decimal

from asked import PAGE, STAFF, amount, number, shown_at
from models import Audit, Category, Customer, Line, Order, Product, Review
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import aliased, joinedload, selectinload, subqueryload


def orders(session, who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    shown = []
    for order in session.scalars(select(Order).order_by(Order.placed.desc(), Order.id)):
        if who != STAFF and (order.customer is None or order.customer.name != who):
            continue
        if status and order.status != status:
            continue
        total = sum((line.price * line.quantity for line in order.lines), Decimal(0))
        if least is not None and total < least:
            continue
        shown.append(
            {
                "id": order.id,
                "customer": order.customer.name if order.customer else None,
                "status": order.status,
                "total": str(total),
                "discount": str(order.discount) if order.discount is not None else None,
                "lines": len(order.lines),
            }
        )
    start = (page - 1) * PAGE
    return 200, {"count": len(shown), "orders": shown[start : start + PAGE]}


def order(session, who, asked):
    """Return one order with its lines."""
    found = session.get(Order, number(asked, "id", 0))
    if found is None:
        return 404, {"error": "no such order"}
    name = found.customer.name if found.customer else None
    if who != STAFF and name != who:
        return 403, {"error": "not yours"}
    lines = []
    total = Decimal(0)
    for line in session.scalars(select(Line).where(Line.order_id == found.id).order_by(Line.id)):
        product = session.get(Product, line.product_id) if line.product_id else None
        category = product.category.name if product and product.category else ""
        best = session.scalar(
            select(func.max(Review.stars)).where(Review.product_id == line.product_id)
        )
        total += line.price * line.quantity
        lines.append(
            {
                "product": product.name if product else None,
                "category": category,
                "quantity": line.quantity,
                "price": str(line.price),
                "stock": (product.stock or 0) if product else 0,
                "best": best,
            }
        )
    zone = found.customer.zone if found.customer else "UTC"
    answer = {
        "id": found.id,
        "customer": name,
        "placed": shown_at(found.placed, zone),
        "total": str(total - (found.discount or 0)),
        "lines": lines,
    }
    if found.discount is not None:
        answer["discount"] = str(found.discount)
    return 200, answer


def products(session, who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    answer = []
    for product in session.scalars(
        select(Product).where(Product.active).order_by(Product.price, Product.name, Product.id)
    ):
        if word and word not in product.name:
            continue
        if dearest is not None and product.price > dearest:
            continue
        stars = [review.stars for review in product.reviews if review.stars is not None]
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock if product.stock is not None else 0,
                "category": product.category.name if product.category else None,
                "stars": sum(stars) / len(stars) if stars else None,
                "reviews": len(product.reviews),
            }
        )
    return 200, answer[: max(limit, 0)]


def customers(session, who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    answer = []
    for customer in session.scalars(select(Customer).order_by(Customer.name, Customer.id)):
        count = session.scalar(
            select(func.count()).select_from(Order).where(Order.customer_id == customer.id)
        )
        spent = session.scalar(
            select(func.sum(Line.price * Line.quantity))
            .join(Order, Line.order_id == Order.id)
            .where(Order.customer_id == customer.id, Order.status == "paid")
        )
        last = session.scalar(
            select(func.max(Order.placed)).where(Order.customer_id == customer.id)
        )
        answer.append(
            {
                "name": customer.name,
                "city": customer.city or "",
                "orders": count,
                "spent": f"{spent or 0:.2f}",
                "last": shown_at(last, customer.zone) if last else None,
            }
        )
    return 200, answer


def categories(session, who, asked):
    """Return the shelves with those below them and how many products stand there."""
    answer = []
    for category in session.scalars(
        select(Category).where(Category.parent_id.is_(None)).order_by(Category.rank, Category.id)
    ):
        below = session.scalars(
            select(Category)
            .where(Category.parent_id == category.id)
            .order_by(Category.rank, Category.id)
        ).all()
        count = session.scalar(
            select(func.count())
            .select_from(Product)
            .where(Product.category_id == category.id, Product.active)
        )
        answer.append(
            {"name": category.name, "products": count, "below": [one.name for one in below]}
        )
    return 200, answer


def pay(session, who, asked):
    """Mark an order as paid, take its products from stock, and note it."""
    found = session.get(Order, number(asked, "id", 0))
    if found is None:
        return 404, {"error": "no such order"}
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
    if found.status == "paid":
        return 409, {"error": "paid already"}
    left = {}
    for line in found.lines:
        if line.product is None:
            continue
        line.product.stock = max((line.product.stock or 0) - line.quantity, 0)
        left[line.product.name] = line.product.stock
    found.status = "paid"
    session.add(Audit(order_id=found.id, what="paid"))
    session.commit()
    return 200, {"status": found.status, "left": left}
