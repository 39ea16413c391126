"""Right rewrites of the views of `projects/django_shop`; nothing imports this file.

A function takes the place of the view whose name stands before `__`. The first of each view is what
the wrong rewrites are made from.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from asked import PAGE, STAFF, amount, number, shown_at
from django.db import transaction
from django.db.models import Count, F, Max, Prefetch, Q, Sum
from shop.models import Audit, Category, Customer, Line, Order, Product, Review


def orders__eager(who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    shown = []
    query = Order.objects.select_related("customer").prefetch_related("lines")
    if who != STAFF:
        query = query.filter(customer__name=who)
    for order in query.order_by("-placed", "id"):
        if status and order.status != status:
            continue
        lines = order.lines.all()
        total = sum((line.price * line.quantity for line in lines), Decimal(0))
        if least is not None and total < least:
            continue
        shown.append(
            {
                "id": order.id,
                "customer": order.customer.name if order.customer else None,
                "status": order.status,
                "total": str(total),
                "discount": str(order.discount) if order.discount is not None else None,
                "lines": len(lines),
            }
        )
    start = (page - 1) * PAGE
    return 200, {"count": len(shown), "orders": shown[start : start + PAGE]}


def orders__prefetched(who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    found = []
    for order in Order.objects.prefetch_related("customer", "lines").order_by("-placed", "id"):
        name = order.customer.name if order.customer else None
        if who not in (STAFF, name) or (status and order.status != status):
            continue
        total = sum((line.price * line.quantity for line in order.lines.all()), Decimal(0))
        if least is None or total >= least:
            found.append((order, name, total))
    return 200, {
        "count": len(found),
        "orders": [
            {
                "id": order.id,
                "customer": name,
                "status": order.status,
                "total": str(total),
                "discount": None if order.discount is None else str(order.discount),
                "lines": len(order.lines.all()),
            }
            for order, name, total in found[(page - 1) * PAGE : page * PAGE]
        ],
    }


def orders__grouped(who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    lines_of = {}
    for line in Line.objects.all():
        lines_of.setdefault(line.order_id, []).append(line)
    names = dict(Customer.objects.values_list("id", "name"))
    shown = []
    for order in Order.objects.order_by("-placed", "id"):
        name = names.get(order.customer_id)
        if who != STAFF and name != who:
            continue
        if status and order.status != status:
            continue
        lines = lines_of.get(order.id, [])
        total = sum((line.price * line.quantity for line in lines), Decimal(0))
        if least is not None and total < least:
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


def orders__with_prefetch(who, asked):
    """Return a page of the orders that somebody may see, the newest first."""
    page = max(number(asked, "page", 1), 1)
    least = amount(asked, "least")
    status = asked.get("status")
    shown = []
    query = Order.objects.select_related("customer").prefetch_related(
        Prefetch("lines", queryset=Line.objects.order_by("id"), to_attr="rows")
    )
    for order in query.order_by("-placed", "id"):
        if who != STAFF and (order.customer is None or order.customer.name != who):
            continue
        if status and order.status != status:
            continue
        total = sum((line.price * line.quantity for line in order.rows), Decimal(0))
        if least is not None and total < least:
            continue
        shown.append(
            {
                "id": order.id,
                "customer": order.customer.name if order.customer else None,
                "status": order.status,
                "total": str(total),
                "discount": str(order.discount) if order.discount is not None else None,
                "lines": len(order.rows),
            }
        )
    start = (page - 1) * PAGE
    return 200, {"count": len(shown), "orders": shown[start : start + PAGE]}


def order__eager(who, asked):
    """Return one order with its lines."""
    found = Order.objects.select_related("customer").filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    name = found.customer.name if found.customer else None
    if who != STAFF and name != who:
        return 403, {"error": "not yours"}
    rows = list(Line.objects.filter(order=found).select_related("product__category").order_by("id"))
    keys = {line.product_id for line in rows if line.product_id}
    stars = dict(
        Review.objects.filter(product__in=keys)
        .values_list("product")
        .annotate(best=Max("stars"))
        .order_by()
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


def order__looked_up(who, asked):
    """Return one order with its lines."""
    found = Order.objects.filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    name = found.customer.name if found.customer else None
    if who != STAFF and name != who:
        return 403, {"error": "not yours"}
    rows = list(Line.objects.filter(order=found).order_by("id"))
    by_key = Product.everything.select_related("category").in_bulk(
        {line.product_id for line in rows if line.product_id}
    )
    best = {}
    for key, stars in Review.objects.filter(product__in=by_key).values_list("product", "stars"):
        if stars is not None:
            best[key] = max(stars, best.get(key, stars))
    total = Decimal(0)
    lines = []
    for line in rows:
        product = by_key.get(line.product_id)
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


def order__annotated(who, asked):
    """Return one order with its lines."""
    found = Order.objects.select_related("customer").filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    customer = found.customer
    if who != STAFF and (customer is None or customer.name != who):
        return 403, {"error": "not yours"}
    rows = (
        Line.objects.filter(order=found)
        .select_related("product__category")
        .annotate(best=Max("product__reviews__stars"))
        .order_by("id")
    )
    lines = [
        {
            "product": line.product.name if line.product else None,
            "category": line.product.category.name
            if line.product and line.product.category
            else "",
            "quantity": line.quantity,
            "price": str(line.price),
            "stock": (line.product.stock or 0) if line.product else 0,
            "best": line.best,
        }
        for line in rows
    ]
    total = sum((line.price * line.quantity for line in rows), Decimal(0))
    answer = {
        "id": found.id,
        "customer": customer.name if customer else None,
        "placed": shown_at(found.placed, customer.zone if customer else "UTC"),
        "total": str(total - (found.discount or 0)),
        "lines": lines,
    }
    return 200, answer if found.discount is None else answer | {"discount": str(found.discount)}


def products__eager(who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    answer = []
    query = Product.objects.select_related("category").prefetch_related("reviews")
    for product in query.order_by("price", "name", "id"):
        if word and word not in product.name:
            continue
        if dearest is not None and product.price > dearest:
            continue
        reviews = product.reviews.all()
        stars = [review.stars for review in reviews if review.stars is not None]
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock if product.stock is not None else 0,
                "category": product.category.name if product.category else None,
                "stars": sum(stars) / len(stars) if stars else None,
                "reviews": len(reviews),
            }
        )
    return 200, answer[: max(limit, 0)]


def products__counted(who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    given = {}
    for key, stars in Review.objects.values_list("product_id", "stars"):
        given.setdefault(key, []).append(stars)
    answer = []
    for product in Product.objects.select_related("category").order_by("price", "name", "id"):
        if (word and word not in product.name) or (dearest is not None and product.price > dearest):
            continue
        reviews = given.get(product.id, [])
        stars = [one for one in reviews if one is not None]
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock or 0,
                "category": product.category.name if product.category else None,
                "stars": sum(stars) / len(stars) if stars else None,
                "reviews": len(reviews),
            }
        )
    return 200, answer[: max(limit, 0)]


def products__annotated(who, asked):
    """Return the products on sale with what people think of them."""
    word = asked.get("q", "")
    dearest = amount(asked, "dearest")
    limit = number(asked, "limit", 20)
    answer = []
    query = Product.objects.select_related("category").annotate(
        all_stars=Sum("reviews__stars"), starred=Count("reviews__stars"), count=Count("reviews")
    )
    for product in query.order_by("price", "name", "id"):
        if word and word not in product.name:
            continue
        if dearest is not None and product.price > dearest:
            continue
        answer.append(
            {
                "name": product.name,
                "price": str(product.price),
                "stock": product.stock if product.stock is not None else 0,
                "category": product.category.name if product.category else None,
                "stars": product.all_stars / product.starred if product.starred else None,
                "reviews": product.count,
            }
        )
    return 200, answer[: max(limit, 0)]


def customers__grouped(who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    paid = dict(
        Line.objects.filter(order__status="paid")
        .values_list("order__customer")
        .annotate(spent=Sum(F("price") * F("quantity")))
        .order_by()
    )
    placed = {
        key: (count, last)
        for key, count, last in Order.objects.values_list("customer")
        .annotate(count=Count("id"), last=Max("placed"))
        .order_by()
    }
    answer = []
    for customer in Customer.objects.order_by("name", "id"):
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


def customers__annotated(who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    paid = dict(
        Line.objects.filter(order__status="paid")
        .values_list("order__customer")
        .annotate(spent=Sum(F("price") * F("quantity")))
        .order_by()
    )
    query = Customer.objects.annotate(count=Count("orders"), last=Max("orders__placed"))
    return 200, [
        {
            "name": customer.name,
            "city": customer.city or "",
            "orders": customer.count,
            "spent": f"{paid.get(customer.id) or 0:.2f}",
            "last": shown_at(customer.last, customer.zone) if customer.last else None,
        }
        for customer in query.order_by("name", "id")
    ]


def customers__prefetched(who, asked):
    """Return what each customer has ordered, those without an order too."""
    if who != STAFF:
        return 403, {"error": "staff alone"}
    answer = []
    for customer in Customer.objects.prefetch_related("orders__lines").order_by("name", "id"):
        orders = customer.orders.all()
        spent = sum(
            (
                line.price * line.quantity
                for order in orders
                if order.status == "paid"
                for line in order.lines.all()
            ),
            Decimal(0),
        )
        last = max((order.placed for order in orders), default=None)
        answer.append(
            {
                "name": customer.name,
                "city": customer.city or "",
                "orders": len(orders),
                "spent": f"{spent:.2f}",
                "last": shown_at(last, customer.zone) if last else None,
            }
        )
    return 200, answer


def categories__grouped(who, asked):
    """Return the shelves with those below them and how many products stand there."""
    top = []
    below = {}
    for category in Category.objects.order_by("rank", "id"):
        if category.parent_id is None:
            top.append(category)
        else:
            below.setdefault(category.parent_id, []).append(category.name)
    counts = dict(Product.objects.values_list("category").annotate(count=Count("id")).order_by())
    return 200, [
        {
            "name": category.name,
            "products": counts.get(category.id, 0),
            "below": below.get(category.id, []),
        }
        for category in top
    ]


def categories__annotated(who, asked):
    """Return the shelves with those below them and how many products stand there."""
    query = (
        Category.objects.filter(parent=None)
        .annotate(count=Count("product", filter=Q(product__active=True)))
        .prefetch_related(Prefetch("below", queryset=Category.objects.order_by("rank", "id")))
    )
    return 200, [
        {
            "name": category.name,
            "products": category.count,
            "below": [one.name for one in category.below.all()],
        }
        for category in query.order_by("rank", "id")
    ]


def categories__counted_in_python(who, asked):
    """Return the shelves with those below them and how many products stand there."""
    counts = Counter(Product.objects.values_list("category_id", flat=True))
    every = list(Category.objects.order_by("rank", "id"))
    answer = []
    for category in every:
        if category.parent_id is not None:
            continue
        names = [one.name for one in every if one.parent_id == category.id]
        answer.append({"name": category.name, "products": counts[category.id], "below": names})
    return 200, answer


def pay__eager(who, asked):
    """Mark an order as paid, take its products from stock, and note it."""
    found = Order.objects.select_related("customer").filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
    if found.status == "paid":
        return 409, {"error": "paid already"}
    left = {}
    with transaction.atomic():
        lines = list(found.lines.all())
        products = Product.everything.in_bulk({line.product_id for line in lines})
        for line in lines:
            product = products.get(line.product_id)
            if product is None:
                continue
            product.stock = max((product.stock or 0) - line.quantity, 0)
            left[product.name] = product.stock
        Product.everything.bulk_update(products.values(), ["stock"])
        found.status = "paid"
        found.save(update_fields=["status"])
        Audit.objects.create(order_id=found.id, what="paid")
    return 200, {"status": found.status, "left": left}


def pay__one_select(who, asked):
    """Mark an order as paid, take its products from stock, and note it."""
    found = Order.objects.select_related("customer").filter(pk=number(asked, "id", 0)).first()
    if found is None:
        return 404, {"error": "no such order"}
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
    if found.status == "paid":
        return 409, {"error": "paid already"}
    left = {}
    with transaction.atomic():
        seen = {}
        for line in found.lines.select_related("product"):
            if line.product is None:
                continue
            product = seen.setdefault(line.product_id, line.product)
            product.stock = max((product.stock or 0) - line.quantity, 0)
            product.save(update_fields=["stock"])
            left[product.name] = product.stock
        found.status = "paid"
        found.save(update_fields=["status"])
        Audit.objects.create(order_id=found.id, what="paid")
    return 200, {"status": found.status, "left": left}
