"""What goes wrong in rewrites of the shop on Django: one change each to the right rewrite."""

from __future__ import annotations

RELATED = 'Order.objects.select_related("customer").prefetch_related("lines")'
NEWEST = 'query.order_by("-placed", "id")'
MINE = "    if who != STAFF:\n        query = query.filter(customer__name=who)\n"
STATUS = "        if status and order.status != status:\n            continue\n"
LEAST = "        if least is not None and total < least:\n            continue\n"
TOTAL = "sum((line.price * line.quantity for line in lines), Decimal(0))"
DISCOUNT = "str(order.discount) if order.discount is not None else None"
NAME = "order.customer.name if order.customer else None"
CUT = "shown[start : start + PAGE]"
LINES = 'Line.objects.filter(order=found).select_related("product__category").order_by("id")'
STOCK = "(product.stock or 0) if product else 0"
BEST = "stars.get(line.product_id) if line.product_id else None"
GONE = 'if found.discount is not None:\n        answer["discount"] = str(found.discount)'
REVIEWED = "Review.objects.filter(product__in=keys)"
ON_SALE = 'Product.objects.select_related("category").prefetch_related("reviews")'
CHEAPEST = 'query.order_by("price", "name", "id")'
WORD = "        if word and word not in product.name:\n            continue\n"
DEAREST = "        if dearest is not None and product.price > dearest:\n            continue\n"
AVERAGE = "sum(stars) / len(stars) if stars else None"
STARS = "[review.stars for review in reviews if review.stars is not None]"
PAID = 'Line.objects.filter(order__status="paid")'
BY_NAME = 'Customer.objects.order_by("name", "id")'
LAST = "shown_at(last, customer.zone) if last else None"
COUNTED = 'Product.objects.values_list("category").annotate(count=Count("id")).order_by()'
BY_RANK = 'Category.objects.order_by("rank", "id")'
MINE_TO_PAY = """\
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
"""
PAID_ALREADY = """\
    if found.status == "paid":
        return 409, {"error": "paid already"}
"""
LEFT = "max((product.stock or 0) - line.quantity, 0)"
NOTED = '        Audit.objects.create(order_id=found.id, what="paid")\n'
SAVED = '        Product.everything.bulk_update(products.values(), ["stock"])\n'

CHANGES = {
    "orders": (
        ("lost order", (NEWEST, "query")),
        ("lost order", (NEWEST, 'query.order_by("id")')),
        ("lost order", (NEWEST, 'query.order_by("placed", "id")')),
        ("tie reordered", (NEWEST, 'query.order_by("-placed")')),
        ("tie reordered", (NEWEST, 'query.order_by("-placed", "-id")')),
        ("inner join drops rows", (RELATED, RELATED + ".filter(customer__isnull=False)")),
        ("inner join drops rows", (RELATED, RELATED + ".filter(lines__isnull=False).distinct()")),
        ("inner join drops rows", (RELATED, RELATED + '.exclude(customer__name="")')),
        ("duplicates from a join", (RELATED, RELATED + ".filter(lines__quantity__gte=0)")),
        ("permission dropped", (MINE, "")),
        ("permission moved", ("    if who != STAFF:\n", '    if who not in (STAFF, ""):\n')),
        ("permission moved", ("customer__name=who", "customer__name__iexact=who")),
        ("permission moved", ("customer__name=who", "customer__name__startswith=who")),
        ("filter dropped", (STATUS, "")),
        ("filter dropped", (LEAST, "")),
        (
            "absent for empty",
            ("if status and order.status", "if status is not None and order.status"),
        ),
        (
            "absent for zero",
            ("if least is not None and total < least", "if least and total < least"),
        ),
        ("off by one", ("total < least", "total <= least")),
        ("page off by one", ("(page - 1) * PAGE", "page * PAGE")),
        ("page off by one", (CUT, "shown[start : start + PAGE - 1]")),
        ("page off by one", (CUT, "shown[start : start + PAGE + 1]")),
        ("page off by one", ('max(number(asked, "page", 1), 1)', 'number(asked, "page", 1)')),
        ("page off by one", ('number(asked, "page", 1)', 'number(asked, "page", 0)')),
        ("count before filter", ('"count": len(shown)', '"count": Order.objects.count()')),
        ("count before filter", ('"count": len(shown)', '"count": query.count()')),
        (
            "count before filter",
            ('"count": len(shown)', '"count": len(shown[start : start + PAGE])'),
        ),
        ("Decimal to float", ("str(total)", "float(total)")),
        ("Decimal to float", ("str(total)", "str(float(total))")),
        (
            "Decimal to float",
            (DISCOUNT, "float(order.discount) if order.discount is not None else None"),
        ),
        ("null swapped", (DISCOUNT, "str(order.discount or 0)")),
        ("null swapped", (DISCOUNT, "str(order.discount) if order.discount else None")),
        ("null swapped", (NAME, 'order.customer.name if order.customer else ""')),
        ("null swapped", (NAME, "order.customer.name")),
        ("null swapped", (NAME, "(order.customer.name or None) if order.customer else None")),
        ("0.0 for 0", ('"lines": len(lines)', '"lines": float(len(lines))')),
        ("text for number", ('"id": order.id', '"id": str(order.id)')),
        ("hidden limit", (NEWEST, NEWEST + "[:100]")),
        ("hidden limit", (NEWEST, NEWEST + "[:12]")),
        ("huge integer in SQL", (NEWEST, NEWEST + "[: max(page * PAGE, 1000)]")),
        ("wrong total", (TOTAL, "sum((line.price for line in lines), Decimal(0))")),
        ("wrong total", (TOTAL, "sum({line.price * line.quantity for line in lines}, Decimal(0))")),
        (
            "wrong total",
            (
                TOTAL,
                "sum((line.price * line.quantity for line in lines if line.quantity > 0), Decimal(0))",
            ),
        ),
        (
            "wrong total",
            (
                TOTAL,
                "sum((line.price * line.quantity for line in lines if line.product_id), Decimal(0))",
            ),
        ),
        ("wrong total", (TOTAL, TOTAL + " - (order.discount or 0)")),
        (
            "other row",
            (
                'prefetch_related("lines")',
                'prefetch_related(Prefetch("lines", Line.objects.filter(product__active=True)))',
            ),
        ),
        (
            "swallowed error",
            (
                'page = max(number(asked, "page", 1), 1)',
                'page = max(int(asked["page"]), 1) if asked.get("page", "").isdigit() else 1',
            ),
        ),
        (
            "swallowed error",
            (
                'least = amount(asked, "least")',
                'try:\n        least = amount(asked, "least")\n    except ValueError:\n        least = None',
            ),
        ),
    ),
    "order": (
        ("lost order", (LINES, LINES.replace('.order_by("id")', ".order_by()"))),
        ("lost order", (LINES, LINES.replace('"id"', '"price"'))),
        ("lost order", (LINES, LINES.replace('"id"', '"-id"'))),
        (
            "inner join drops rows",
            (LINES, LINES.replace("order=found", "order=found, product__isnull=False")),
        ),
        (
            "inner join drops rows",
            (LINES, LINES.replace("order=found", "order=found, product__category__isnull=False")),
        ),
        (
            "duplicates from a join",
            (
                LINES,
                LINES.replace(
                    ".select_related",
                    ".filter(Q(product__reviews__stars__gte=0) | Q(product__reviews__isnull=True)).select_related",
                ),
            ),
        ),
        (
            "default manager bypassed",
            (LINES, LINES.replace("order=found", "order=found, product__active=True")),
        ),
        (
            "default manager bypassed",
            (
                "product = line.product if line.product_id else None",
                "product = Product.objects.filter(pk=line.product_id).first() if line.product_id == 0 else (line.product if line.product and line.product.active else None)",
            ),
        ),
        (
            "permission dropped",
            (
                '    if who != STAFF and name != who:\n        return 403, {"error": "not yours"}\n',
                "",
            ),
        ),
        (
            "permission moved",
            (
                "if who != STAFF and name != who",
                "if who != STAFF and name is not None and name != who",
            ),
        ),
        (
            "permission moved",
            (
                "if who != STAFF and name != who",
                "if who != STAFF and name != who and found.lines.exists()",
            ),
        ),
        (
            "permission moved",
            (
                '        return 403, {"error": "not yours"}',
                '        return 404, {"error": "no such order"}',
            ),
        ),
        (
            "swallowed error",
            ('        return 404, {"error": "no such order"}', "        return 200, {}"),
        ),
        (
            "swallowed error",
            ('number(asked, "id", 0)', 'int(asked["id"]) if asked["id"].isdigit() else 0'),
        ),
        ("Decimal to float", ('"price": str(line.price)', '"price": float(line.price)')),
        ("Decimal to float", ('"price": str(line.price)', '"price": str(float(line.price))')),
        (
            "Decimal to float",
            (
                "str(total - (found.discount or 0))",
                "str(float(total) - float(found.discount or 0))",
            ),
        ),
        ("rounded", ('"price": str(line.price)', '"price": str(round(line.price))')),
        ("time zone", ("shown_at(found.placed, zone)", 'found.placed.strftime("%Y-%m-%d %H:%M")')),
        ("time zone", ('zone = found.customer.zone if found.customer else "UTC"', 'zone = "UTC"')),
        ("time zone", ('if found.customer else "UTC"', 'if found.customer else "Europe/Berlin"')),
        ("null swapped", (STOCK, "product.stock if product else 0")),
        ("null swapped", (STOCK, "(product.stock or 0) if product else None")),
        ("null swapped", (STOCK, "(product.stock or 1) if product else 0")),
        ("null swapped", (BEST, "stars.get(line.product_id, 0)")),
        ("null swapped", (BEST, "stars.get(line.product_id) or None")),
        (
            "null swapped",
            (
                'product.category.name if product and product.category else ""',
                "product.category.name if product and product.category else None",
            ),
        ),
        (
            "null swapped",
            (
                '"product": product.name if product else None',
                '"product": product.name if product else ""',
            ),
        ),
        (
            "null swapped",
            (
                "name = found.customer.name if found.customer else None",
                'name = found.customer.name if found.customer else ""',
            ),
        ),
        (
            "key dropped when null",
            (GONE, 'if found.discount:\n        answer["discount"] = str(found.discount)'),
        ),
        (
            "key dropped when null",
            (GONE, 'answer["discount"] = None if found.discount is None else str(found.discount)'),
        ),
        ("key dropped when null", (GONE, "")),
        ("0.0 for 0", (STOCK, "(product.stock or 0.0) if product else 0")),
        ("0.0 for 0", ('"quantity": line.quantity', '"quantity": float(line.quantity)')),
        ("text for number", ('"quantity": line.quantity', '"quantity": str(line.quantity)')),
        ("wrong aggregate", ('Max("stars")', 'Min("stars")')),
        ("wrong aggregate", ('Max("stars")', 'Sum("stars")')),
        ("wrong aggregate", (REVIEWED, "Review.objects.filter(product__in=keys, stars__gt=0)")),
        ("wrong aggregate", (REVIEWED, "Review.objects.filter(product__in=sorted(keys)[:2])")),
        (
            "wrong aggregate",
            ('.values_list("product")\n', '.values_list("product", "text")\n'),
            ("stars = dict(\n", "stars = dict(\n        (key, best)\n        for key, _, best in "),
        ),
        (
            "wrong total",
            ("total += line.price * line.quantity", "total += line.price * max(line.quantity, 0)"),
        ),
        (
            "wrong total",
            ("total += line.price * line.quantity", "total += line.price * (line.quantity or 1)"),
        ),
        (
            "wrong total",
            ("total - (found.discount or 0)", "max(total - (found.discount or 0), Decimal(0))"),
        ),
        ("hidden limit", (LINES, LINES + "[:50]")),
        ("hidden limit", (LINES, LINES + "[:4]")),
    ),
    "products": (
        ("lost order", (CHEAPEST, "query")),
        ("lost order", (CHEAPEST, 'query.order_by("id")')),
        ("tie reordered", (CHEAPEST, 'query.order_by("price")')),
        ("tie reordered", (CHEAPEST, 'query.order_by("price", "name")')),
        ("tie reordered", (CHEAPEST, 'query.order_by("price", "id")')),
        ("default manager bypassed", (ON_SALE, ON_SALE.replace("objects", "everything"))),
        ("default manager bypassed", (ON_SALE, ON_SALE.replace("objects", "_base_manager"))),
        (
            "default manager bypassed",
            (
                ON_SALE,
                ON_SALE.replace("objects", "everything.filter(Q(active=True) | Q(stock__gt=0))"),
            ),
        ),
        ("inner join drops rows", (ON_SALE, ON_SALE + ".filter(category__isnull=False)")),
        ("inner join drops rows", (ON_SALE, ON_SALE + ".filter(reviews__isnull=False).distinct()")),
        (
            "duplicates from a join",
            (ON_SALE, ON_SALE + ".filter(Q(reviews__stars__gte=0) | Q(reviews__isnull=True))"),
        ),
        ("filter dropped", (WORD, "")),
        ("filter dropped", (DEAREST, "")),
        (
            "filter changed",
            ("word not in product.name", "word.lower() not in product.name.lower()"),
        ),
        ("filter changed", ("word not in product.name", "not product.name.startswith(word)")),
        (
            "filter pushed into SQL",
            (CHEAPEST, CHEAPEST.replace("query.", "query.filter(name__icontains=word).")),
            (WORD, ""),
        ),
        ("off by one", ("product.price > dearest", "product.price >= dearest")),
        ("absent for zero", ("if dearest is not None and product", "if dearest and product")),
        ("absent for zero", ("answer[: max(limit, 0)]", "answer[: limit or 20]")),
        ("absent for zero", ("answer[: max(limit, 0)]", "answer[: max(limit, 1)]")),
        ("page off by one", ("answer[: max(limit, 0)]", "answer[:limit]")),
        ("page off by one", ("answer[: max(limit, 0)]", "answer[: max(limit, 0) + 1]")),
        ("hidden limit", ('number(asked, "limit", 20)', 'min(number(asked, "limit", 20), 5)')),
        ("hidden limit", (CHEAPEST, CHEAPEST + "[:20]")),
        ("limit before filter", (CHEAPEST, CHEAPEST + "[: max(limit, 0)]")),
        ("huge integer in SQL", (CHEAPEST, CHEAPEST + "[: max(limit, 1000)]")),
        ("null swapped", ("product.stock if product.stock is not None else 0", "product.stock")),
        (
            "null swapped",
            ("product.stock if product.stock is not None else 0", "product.stock or None"),
        ),
        (
            "null swapped",
            (
                "product.category.name if product.category else None",
                'product.category.name if product.category else ""',
            ),
        ),
        ("null swapped", (AVERAGE, "sum(stars) / len(stars) if stars else 0")),
        ("null swapped", ("if review.stars is not None]", "if review.stars]")),
        ("null swapped", (STARS, "[review.stars or 0 for review in reviews]")),
        (
            "0.0 for 0",
            (
                "product.stock if product.stock is not None else 0",
                "product.stock if product.stock is not None else 0.0",
            ),
        ),
        ("0.0 for 0", (AVERAGE, "sum(stars) // len(stars) if stars else None")),
        ("rounded", (AVERAGE, "round(sum(stars) / len(stars), 1) if stars else None")),
        ("count before filter", ('"reviews": len(reviews)', '"reviews": len(stars)')),
        ("Decimal to float", ("str(product.price)", "float(product.price)")),
        ("Decimal to float", ("str(product.price)", "str(float(product.price))")),
        (
            "key dropped when null",
            (
                '"stars": sum(stars) / len(stars) if stars else None,',
                '**({"stars": sum(stars) / len(stars)} if stars else {}),',
            ),
        ),
        (
            "swallowed error",
            (
                'dearest = amount(asked, "dearest")',
                'try:\n        dearest = amount(asked, "dearest")\n    except ValueError:\n        dearest = None',
            ),
        ),
        (
            "swallowed error",
            (
                'limit = number(asked, "limit", 20)',
                'limit = int(asked["limit"]) if asked.get("limit", "").isdigit() else 20',
            ),
        ),
    ),
    "customers": (
        ("lost order", (BY_NAME, "Customer.objects.all()")),
        ("tie reordered", (BY_NAME, 'Customer.objects.order_by("name")')),
        ("lost order", (BY_NAME, 'Customer.objects.order_by("id")')),
        ("tie reordered", (BY_NAME, 'Customer.objects.order_by("name", "city", "id")')),
        (
            "inner join drops rows",
            (
                BY_NAME,
                BY_NAME.replace("objects.", "objects.filter(orders__isnull=False).distinct()."),
            ),
        ),
        (
            "inner join drops rows",
            (
                "        count, last = placed.get(customer.id, (0, None))\n",
                "        if customer.id not in placed:\n            continue\n        count, last = placed[customer.id]\n",
            ),
        ),
        (
            "duplicates from a join",
            (
                BY_NAME,
                BY_NAME.replace(
                    "objects.",
                    "objects.filter(Q(orders__status__gte='') | Q(orders__isnull=True)).",
                ),
            ),
        ),
        ("filter dropped", (PAID, "Line.objects.all()")),
        ("filter changed", (PAID, 'Line.objects.exclude(order__status="paid")')),
        ("filter changed", (PAID, 'Line.objects.filter(order__status__in=["paid", "sent"])')),
        (
            "permission dropped",
            ('    if who != STAFF:\n        return 403, {"error": "staff alone"}\n', ""),
        ),
        ("permission moved", ("if who != STAFF:", "if not who:")),
        ("permission moved", ("if who != STAFF:", "if who.lower() != STAFF:")),
        ("wrong aggregate", ('Sum(F("price") * F("quantity"))', 'Sum("price")')),
        ("wrong aggregate", ('Sum(F("price") * F("quantity"))', 'Max(F("price") * F("quantity"))')),
        ("wrong aggregate", ('Max("placed")', 'Min("placed")')),
        ("wrong aggregate", ('Count("id")', 'Count("discount")')),
        ("wrong aggregate", ('Count("id")', 'Count("placed", distinct=True)')),
        ("wrong aggregate", ('Count("id")', 'Count("lines")')),
        ("null swapped", ("(0, None)", "(None, None)")),
        ("null swapped", ('customer.city or ""', "customer.city")),
        ("null swapped", (LAST, 'shown_at(last, customer.zone) if last else ""')),
        ("null swapped", ("spent or 0:.2f", "spent or 1:.2f")),
        ("Decimal to float", ('f"{spent or 0:.2f}"', "float(spent or 0)")),
        ("rounded", ("spent or 0:.2f", "spent or 0:.1f")),
        ("rounded", ("spent or 0:.2f", "spent or 0:.0f")),
        ("time zone", (LAST, 'shown_at(last, "UTC") if last else None')),
        ("time zone", (LAST, 'last.strftime("%Y-%m-%d %H:%M") if last else None')),
        ("0.0 for 0", ('"orders": count', '"orders": float(count)')),
        ("text for number", ('"orders": count', '"orders": str(count)')),
        (
            "key dropped when null",
            (f'"last": {LAST},', '**({"last": shown_at(last, customer.zone)} if last else {}),'),
        ),
        ("hidden limit", (BY_NAME, BY_NAME + "[:100]")),
        ("hidden limit", (BY_NAME, BY_NAME + "[:3]")),
        ("other row", ("paid.get(customer.id)", "paid.get(customer.id - 1)")),
    ),
    "categories": (
        ("lost order", (BY_RANK, "Category.objects.all()")),
        ("lost order", (BY_RANK, 'Category.objects.order_by("id")')),
        ("lost order", (BY_RANK, 'Category.objects.order_by("name")')),
        ("tie reordered", (BY_RANK, 'Category.objects.order_by("rank")')),
        ("tie reordered", (BY_RANK, 'Category.objects.order_by("rank", "name")')),
        ("tie reordered", (BY_RANK, 'Category.objects.order_by("rank", "-id")')),
        ("default manager bypassed", (COUNTED, COUNTED.replace("objects", "everything"))),
        ("default manager bypassed", (COUNTED, COUNTED.replace("objects", "_base_manager"))),
        ("filter changed", (COUNTED, COUNTED.replace("objects", "objects.filter(stock__gt=0)"))),
        (
            "filter changed",
            (COUNTED, COUNTED.replace("objects", "objects.filter(stock__isnull=False)")),
        ),
        (
            "inner join drops rows",
            (
                "        for category in top\n",
                "        for category in top\n        if category.id in counts\n",
            ),
        ),
        (
            "inner join drops rows",
            (
                "        for category in top\n",
                "        for category in top\n        if category.id in below\n",
            ),
        ),
        (
            "inner join drops rows",
            (
                BY_RANK,
                BY_RANK.replace("objects.", "objects.filter(product__isnull=False).distinct()."),
            ),
        ),
        (
            "duplicates from a join",
            (
                BY_RANK,
                BY_RANK.replace(
                    "objects.",
                    "objects.filter(Q(product__name__gte='') | Q(product__isnull=True)).",
                ),
            ),
        ),
        ("null swapped", ("counts.get(category.id, 0)", "counts.get(category.id)")),
        ("null swapped", ("below.get(category.id, [])", "below.get(category.id)")),
        ("wrong aggregate", ('Count("id")', 'Count("stock")')),
        ("wrong aggregate", ('Count("id")', 'Count("name", distinct=True)')),
        ("wrong aggregate", ('Count("id")', 'Count("price", distinct=True)')),
        ("wrong aggregate", ('Count("id")', 'Count("reviews")')),
        ("other row", ("setdefault(category.parent_id, [])", "setdefault(category.id, [])")),
        ("other row", (".append(category.name)", ".insert(0, category.name)")),
        ("0.0 for 0", ("counts.get(category.id, 0)", "counts.get(category.id, 0.0)")),
        ("text for number", ("counts.get(category.id, 0)", "str(counts.get(category.id, 0))")),
        (
            "key dropped when null",
            (
                '            "below": below.get(category.id, []),\n',
                '            **({"below": below[category.id]} if category.id in below else {}),\n',
            ),
        ),
        ("hidden limit", (BY_RANK, BY_RANK + "[:100]")),
        ("hidden limit", (BY_RANK, BY_RANK + "[:6]")),
    ),
    "pay": (
        ("permission dropped", (MINE_TO_PAY, "")),
        (
            "permission moved",
            (
                "found.customer is None or found.customer.name != who",
                "found.customer is not None and found.customer.name != who",
            ),
        ),
        ("permission moved", (MINE_TO_PAY + PAID_ALREADY, PAID_ALREADY + MINE_TO_PAY)),
        ("check dropped", (PAID_ALREADY, "")),
        ("side effect lost", (NOTED, "")),
        ("side effect lost", (SAVED, "")),
        ("side effect lost", ('        found.save(update_fields=["status"])\n', "")),
        (
            "side effect lost",
            (
                '        Audit.objects.create(order_id=found.id, what="paid")\n',
                '        Audit(order_id=found.id, what="paid")\n',
            ),
        ),
        ("side effect lost", (NOTED, NOTED + "        transaction.set_rollback(True)\n")),
        (
            "side effect added",
            (NOTED, NOTED + '        Audit.objects.create(order_id=found.id, what="seen")\n'),
        ),
        (
            "side effect added",
            (
                'found.save(update_fields=["status"])',
                "found.discount = found.discount or 0\n        found.save()",
            ),
        ),
        ("side effect changed", ('what="paid"', 'what="Paid"')),
        (
            "side effect changed",
            ("order_id=found.id, what", "order_id=found.customer_id or 0, what"),
        ),
        ("side effect changed", (LEFT, "(product.stock or 0) - line.quantity")),
        (
            "side effect changed",
            (LEFT, "max(product.stock - line.quantity, 0) if product.stock else product.stock"),
        ),
        ("side effect changed", (LEFT, "max((product.stock or 0) - 1, 0)")),
        ("write in another transaction", (NOTED, NOTED.removeprefix("    "))),
        ("write in another transaction", ("    with transaction.atomic():\n", "    if True:\n")),
        (
            "stale bulk write",
            (
                SAVED,
                '        for line in lines:\n            Product.everything.filter(pk=line.product_id).update(stock=F("stock") - line.quantity)\n',
            ),
        ),
        ("stale bulk write", (SAVED, SAVED.replace("everything", "objects"))),
        (
            "inner join drops rows",
            (
                'select_related("customer").filter(',
                'select_related("customer").filter(customer__isnull=False, ',
            ),
        ),
        ("default manager bypassed", ("Product.everything.in_bulk", "Product.objects.in_bulk")),
        ("null swapped", ("if product is None", "if product is None or product.stock is None")),
        (
            "swallowed error",
            (
                '        return 409, {"error": "paid already"}',
                '        return 200, {"status": "paid", "left": {}}',
            ),
        ),
        (
            "swallowed error",
            (
                '        return 404, {"error": "no such order"}',
                '        return 200, {"status": "none", "left": {}}',
            ),
        ),
        (
            "0.0 for 0",
            ("left[product.name] = product.stock", "left[product.name] = float(product.stock)"),
        ),
        ("other row", ("left[product.name]", "left[str(line.product_id)]")),
    ),
}
"""View to changes: the class of what goes wrong, then pairs of old and new text."""
