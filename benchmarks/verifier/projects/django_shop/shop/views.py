"""What the shop answers: plain data for a user and what was asked."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from asked import PAGE, STAFF, amount, number, shown_at
from django.db import transaction
from django.db.models import Count, F, Max, Min, Prefetch, Q, Sum

from shop.models import Audit, Category, Customer, Line, Order, Product, Review


def orders(who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    shown = []
    for order in Order.objects.order_by("-placed", "id"):
        if who != STAFF and (order.customer is None or order.customer.name != who):
            continue
        if status and order.status != status:
            continue
        total = sum((line.price * line.quantity for line in order.lines.all()), Decimal(0))
        if least is not None and total < least:
            continue
        shown.append(
            {
                "id": order.id,
                "customer": order.customer.name if order.customer else None,
                "status": order.status,
                "total": str(total),
                "discount": str(order.discount) if order.discount is not None else None,
                "lines": len(order.lines.all()),
            }
        )
    start = (page - 1) * PAGE
    return 200, {"count": len(shown), "orders": shown[start : start + PAGE]}


def order(who, asked):
    """Return one order with its lines."""
    found = Order.objects.filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    name = found.customer.name if found.customer else None
    if who != STAFF and name != who:
        return 403, {"error": "not yours"}
    lines = []
    total = Decimal(0)
    for line in Line.objects.filter(order=found).order_by("id"):
        product = line.product if line.product_id else None
        category = product.category.name if product and product.category else ""
        best = Review.objects.filter(product=line.product_id).aggregate(best=Max("stars"))["best"]
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


def products(who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    answer = []
    for product in Product.objects.order_by("price", "name", "id"):
        if word and word not in product.name:
            continue
        if dearest is not None and product.price > dearest:
            continue
        stars = [review.stars for review in product.reviews.all() if review.stars is not None]
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock if product.stock is not None else 0,
                "category": product.category.name if product.category else None,
                "stars": sum(stars) / len(stars) if stars else None,
                "reviews": product.reviews.count(),
            }
        )
    return 200, answer[: max(limit, 0)]


def customers(who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    answer = []
    for customer in Customer.objects.order_by("name", "id"):
        spent = Line.objects.filter(order__customer=customer, order__status="paid").aggregate(
            spent=Sum(F("price") * F("quantity"))
        )["spent"]
        last = customer.orders.aggregate(last=Max("placed"))["last"]
        answer.append(
            {
                "name": customer.name,
                "city": customer.city or "",
                "orders": customer.orders.count(),
                "spent": f"{spent or 0:.2f}",
                "last": shown_at(last, customer.zone) if last else None,
            }
        )
    return 200, answer


def categories(who, asked):
    """Return the shelves with those below them and how many products stand there."""
    return 200, [
        {
            "name": category.name,
            "products": Product.objects.filter(category=category).count(),
            "below": [one.name for one in category.below.order_by("rank", "id")],
        }
        for category in Category.objects.filter(parent=None).order_by("rank", "id")
    ]


def pay(who, asked):
    """Mark an order as paid, take its products from stock, and note it."""
    found = Order.objects.filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
    if found.status == "paid":
        return 409, {"error": "paid already"}
    left = {}
    with transaction.atomic():
        for line in found.lines.all():
            if line.product is None:
                continue
            product = Product.everything.get(pk=line.product_id)
            product.stock = max((product.stock or 0) - line.quantity, 0)
            product.save(update_fields=["stock"])
            left[product.name] = product.stock
        found.status = "paid"
        found.save(update_fields=["status"])
        Audit.objects.create(order_id=found.id, what="paid")
    return 200, {"status": found.status, "left": left}
