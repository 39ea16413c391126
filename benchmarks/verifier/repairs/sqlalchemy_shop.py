"""Right rewrites of the views of `projects/sqlalchemy_shop`; nothing imports this file.

A function takes the place of the view whose name stands before `__`. The first of each view is what
the wrong rewrites are made from.
"""

from __future__ import annotations

from decimal import Decimal

from asked import PAGE, STAFF, amount, number, shown_at
from models import Audit, Category, Customer, Line, Order, Product, Review
from sqlalchemy import func, select
from sqlalchemy.orm import aliased, joinedload, selectinload, subqueryload


def orders__eager(session, who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    shown = []
    query = (
        select(Order)
        .options(joinedload(Order.customer), selectinload(Order.lines))
        .order_by(Order.placed.desc(), Order.id)
    )
    if who != STAFF:
        query = query.join(Order.customer).where(Customer.name == who)
    for order in session.scalars(query):
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


def orders__in_python(session, who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    found = session.scalars(
        select(Order)
        .options(selectinload(Order.customer), selectinload(Order.lines))
        .order_by(Order.placed.desc(), Order.id)
    ).all()
    shown = []
    for one in found:
        name = one.customer.name if one.customer else None
        if who not in (STAFF, name):
            continue
        if status and one.status != status:
            continue
        total = sum((line.price * line.quantity for line in one.lines), Decimal(0))
        if least is None or total >= least:
            shown.append((one, name, total))
    answer = [
        {
            "id": one.id,
            "customer": name,
            "status": one.status,
            "total": str(total),
            "discount": None if one.discount is None else str(one.discount),
            "lines": len(one.lines),
        }
        for one, name, total in shown[(page - 1) * PAGE : page * PAGE]
    ]
    return 200, {"count": len(shown), "orders": answer}


def orders__grouped(session, who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    lines_of = {}
    for line in session.scalars(select(Line)):
        lines_of.setdefault(line.order_id, []).append(line)
    shown = []
    query = (
        select(Order, Customer.name)
        .outerjoin(Customer, Order.customer_id == Customer.id)
        .order_by(Order.placed.desc(), Order.id)
    )
    for order, name in session.execute(query):
        lines = lines_of.get(order.id, [])
        total = sum((line.price * line.quantity for line in lines), Decimal(0))
        if (
            (who != STAFF and name != who)
            or (status and order.status != status)
            or (least is not None and total < least)
        ):
            continue
        shown.append(
            {
                "id": order.id,
                "customer": name,
                "status": order.status,
                "total": str(total),
                "discount": str(order.discount) if order.discount is not None else None,
                "lines": len(lines),
            }
        )
    start = (page - 1) * PAGE
    return 200, {"count": len(shown), "orders": shown[start : start + PAGE]}


def orders__subquery(session, who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    shown = []
    query = select(Order).options(subqueryload(Order.customer), subqueryload(Order.lines))
    for order in session.scalars(query.order_by(Order.placed.desc(), Order.id)):
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


def order__eager(session, who, asked):
    """Return one order with its lines."""
    found = session.get(Order, number(asked, "id", 0), options=[joinedload(Order.customer)])
    if found is None:
        return 404, {"error": "no such order"}
    name = found.customer.name if found.customer else None
    if who != STAFF and name != who:
        return 403, {"error": "not yours"}
    query = (
        select(Line)
        .options(joinedload(Line.product).joinedload(Product.category))
        .where(Line.order_id == found.id)
        .order_by(Line.id)
    )
    rows = session.scalars(query).all()
    keys = {line.product_id for line in rows if line.product_id}
    stars = dict(
        session.execute(
            select(Review.product_id, func.max(Review.stars))
            .where(Review.product_id.in_(keys))
            .group_by(Review.product_id)
        )
        .tuples()
        .all()
    )
    lines = []
    total = Decimal(0)
    for line in rows:
        product = line.product if line.product_id else None
        category = product.category.name if product and product.category else ""
        total += line.price * line.quantity
        lines.append(
            {
                "product": product.name if product else None,
                "category": category,
                "quantity": line.quantity,
                "price": str(line.price),
                "stock": (product.stock or 0) if product else 0,
                "best": stars.get(line.product_id) if line.product_id else None,
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


def order__in_one(session, who, asked):
    """Return one order with its lines."""
    found = session.get(
        Order,
        number(asked, "id", 0),
        options=[
            selectinload(Order.customer),
            selectinload(Order.lines).selectinload(Line.product).selectinload(Product.category),
            selectinload(Order.lines).selectinload(Line.product).selectinload(Product.reviews),
        ],
    )
    if found is None:
        return 404, {"error": "no such order"}
    customer = found.customer
    if who != STAFF and (customer is None or customer.name != who):
        return 403, {"error": "not yours"}
    lines = []
    for line in found.lines:
        product = line.product if line.product_id else None
        given = [one.stars for one in product.reviews if one.stars is not None] if product else []
        lines.append(
            {
                "product": product.name if product else None,
                "category": product.category.name if product and product.category else "",
                "quantity": line.quantity,
                "price": str(line.price),
                "stock": (product.stock or 0) if product else 0,
                "best": max(given, default=None),
            }
        )
    total = sum((line.price * line.quantity for line in found.lines), Decimal(0))
    answer = {
        "id": found.id,
        "customer": customer.name if customer else None,
        "placed": shown_at(found.placed, customer.zone if customer else "UTC"),
        "total": str(total - (found.discount or 0)),
        "lines": lines,
    }
    return 200, answer if found.discount is None else answer | {"discount": str(found.discount)}


def order__looked_up(session, who, asked):
    """Return one order with its lines."""
    found = session.get(Order, number(asked, "id", 0))
    if found is None:
        return 404, {"error": "no such order"}
    name = found.customer.name if found.customer else None
    if who != STAFF and name != who:
        return 403, {"error": "not yours"}
    rows = session.scalars(select(Line).where(Line.order_id == found.id).order_by(Line.id)).all()
    wanted = {line.product_id for line in rows if line.product_id}
    by_key = {
        product.id: product
        for product in session.scalars(
            select(Product).options(joinedload(Product.category)).where(Product.id.in_(wanted))
        )
    }
    best = {}
    for review in session.scalars(select(Review).where(Review.product_id.in_(wanted))):
        if review.stars is not None:
            best[review.product_id] = max(best.get(review.product_id, review.stars), review.stars)
    total = Decimal(0)
    lines = []
    for line in rows:
        product = by_key.get(line.product_id) if line.product_id else None
        total += line.price * line.quantity
        lines.append(
            {
                "product": product.name if product else None,
                "category": product.category.name if product and product.category else "",
                "quantity": line.quantity,
                "price": str(line.price),
                "stock": (product.stock or 0) if product else 0,
                "best": best.get(line.product_id),
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


def products__eager(session, who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    answer = []
    for product in session.scalars(
        select(Product)
        .options(joinedload(Product.category), selectinload(Product.reviews))
        .where(Product.active)
        .order_by(Product.price, Product.name, Product.id)
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


def products__joined(session, who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    query = (
        select(Product)
        .options(joinedload(Product.category), joinedload(Product.reviews))
        .where(Product.active)
        .order_by(Product.price, Product.name, Product.id)
    )
    answer = []
    for product in session.scalars(query).unique():
        if (word and word not in product.name) or (dearest is not None and product.price > dearest):
            continue
        stars = [review.stars for review in product.reviews if review.stars is not None]
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock or 0,
                "category": product.category.name if product.category else None,
                "stars": sum(stars) / len(stars) if stars else None,
                "reviews": len(product.reviews),
            }
        )
    return 200, answer[: max(limit, 0)]


def products__counted(session, who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    given = {}
    for review in session.scalars(select(Review)):
        given.setdefault(review.product_id, []).append(review.stars)
    answer = []
    query = (
        select(Product, Category.name)
        .outerjoin(Category, Product.category_id == Category.id)
        .where(Product.active)
        .order_by(Product.price, Product.name, Product.id)
    )
    for product, category in session.execute(query):
        if word and word not in product.name:
            continue
        if dearest is not None and product.price > dearest:
            continue
        reviews = given.get(product.id, ())
        stars = [one for one in reviews if one is not None]
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock if product.stock is not None else 0,
                "category": category,
                "stars": sum(stars) / len(stars) if stars else None,
                "reviews": len(reviews),
            }
        )
    return 200, answer[: max(limit, 0)]


def customers__grouped(session, who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    placed = {
        key: (count, last)
        for key, count, last in session.execute(
            select(Order.customer_id, func.count(), func.max(Order.placed)).group_by(
                Order.customer_id
            )
        )
    }
    paid = dict(
        session.execute(
            select(Order.customer_id, func.sum(Line.price * Line.quantity))
            .join(Order, Line.order_id == Order.id)
            .where(Order.status == "paid")
            .group_by(Order.customer_id)
        )
        .tuples()
        .all()
    )
    answer = []
    for customer in session.scalars(select(Customer).order_by(Customer.name, Customer.id)):
        count, last = placed.get(customer.id, (0, None))
        spent = paid.get(customer.id)
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


def customers__joined(session, who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    spent_by = (
        select(Order.customer_id, func.sum(Line.price * Line.quantity).label("spent"))
        .join(Order, Line.order_id == Order.id)
        .where(Order.status == "paid")
        .group_by(Order.customer_id)
        .subquery()
    )
    query = (
        select(
            Customer,
            func.count(Order.id),
            func.max(Order.placed),
            func.max(spent_by.c.spent),
        )
        .outerjoin(Order, Order.customer_id == Customer.id)
        .outerjoin(spent_by, spent_by.c.customer_id == Customer.id)
        .group_by(Customer.id)
        .order_by(Customer.name, Customer.id)
    )
    return 200, [
        {
            "name": customer.name,
            "city": customer.city or "",
            "orders": count,
            "spent": f"{spent or 0:.2f}",
            "last": shown_at(last, customer.zone) if last else None,
        }
        for customer, count, last, spent in session.execute(query)
    ]


def customers__merged(session, who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    paid = dict(
        session.execute(
            select(Order.customer_id, func.sum(Line.price * Line.quantity))
            .join(Order, Line.order_id == Order.id)
            .where(Order.status == "paid")
            .group_by(Order.customer_id)
        )
        .tuples()
        .all()
    )
    answer = []
    for customer in session.scalars(select(Customer).order_by(Customer.name, Customer.id)):
        count, last = session.execute(
            select(func.count(), func.max(Order.placed)).where(Order.customer_id == customer.id)
        ).one()
        answer.append(
            {
                "name": customer.name,
                "city": customer.city or "",
                "orders": count,
                "spent": f"{paid.get(customer.id) or 0:.2f}",
                "last": shown_at(last, customer.zone) if last else None,
            }
        )
    return 200, answer


def categories__grouped(session, who, asked):
    """Return the shelves with those below them and how many products stand there."""
    below = {}
    top = []
    for category in session.scalars(select(Category).order_by(Category.rank, Category.id)):
        if category.parent_id is None:
            top.append(category)
        else:
            below.setdefault(category.parent_id, []).append(category.name)
    counts = dict(
        session.execute(
            select(Product.category_id, func.count())
            .where(Product.active)
            .group_by(Product.category_id)
        )
        .tuples()
        .all()
    )
    return 200, [
        {
            "name": category.name,
            "products": counts.get(category.id, 0),
            "below": below.get(category.id, []),
        }
        for category in top
    ]


def categories__two_selects(session, who, asked):
    """Return the shelves with those below them and how many products stand there."""
    under = aliased(Category)
    counted = (
        select(func.count())
        .select_from(Product)
        .where(Product.category_id == Category.id, Product.active)
        .correlate(Category)
        .scalar_subquery()
    )
    top = session.execute(
        select(Category, counted)
        .where(Category.parent_id.is_(None))
        .order_by(Category.rank, Category.id)
    ).all()
    below = {}
    for one in session.scalars(
        select(under)
        .where(under.parent_id.in_([category.id for category, _ in top]))
        .order_by(under.rank, under.id)
    ):
        below.setdefault(one.parent_id, []).append(one.name)
    return 200, [
        {"name": category.name, "products": count, "below": below.get(category.id, [])}
        for category, count in top
    ]


def categories__counted_in_python(session, who, asked):
    """Return the shelves with those below them and how many products stand there."""
    counts = {}
    for key in session.scalars(select(Product.category_id).where(Product.active)):
        counts[key] = counts.get(key, 0) + 1
    every = session.scalars(select(Category).order_by(Category.rank, Category.id)).all()
    answer = []
    for category in every:
        if category.parent_id is not None:
            continue
        names = [one.name for one in every if one.parent_id == category.id]
        answer.append(
            {"name": category.name, "products": counts.get(category.id, 0), "below": names}
        )
    return 200, answer


def pay__eager(session, who, asked):
    """Mark an order as paid, take its products from stock, and note it."""
    found = session.get(
        Order,
        number(asked, "id", 0),
        options=[
            joinedload(Order.customer),
            selectinload(Order.lines).joinedload(Line.product),
        ],
    )
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
    answer = {"status": found.status, "left": left}
    session.commit()
    return 200, answer


def pay__checked_first(session, who, asked):
    """Mark an order as paid, take its products from stock, and note it."""
    found = session.get(Order, number(asked, "id", 0), options=[joinedload(Order.customer)])
    if found is None:
        return 404, {"error": "no such order"}
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
    if found.status == "paid":
        return 409, {"error": "paid already"}
    left = {}
    lines = session.scalars(
        select(Line)
        .options(joinedload(Line.product))
        .where(Line.order_id == found.id)
        .order_by(Line.id)
    ).all()
    for line in lines:
        product = line.product
        if product is not None:
            product.stock = max((product.stock or 0) - line.quantity, 0)
            left[product.name] = product.stock
    found.status = "paid"
    session.add(Audit(order_id=found.id, what="paid"))
    session.commit()
    return 200, {"status": "paid", "left": left}
