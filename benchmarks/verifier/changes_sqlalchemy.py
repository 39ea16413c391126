"""What goes wrong in rewrites of the shop on SQLAlchemy: one change each to the right rewrite."""

from __future__ import annotations

EAGER_ORDERS = "        .options(joinedload(Order.customer), selectinload(Order.lines))\n"
NEWEST = "        .order_by(Order.placed.desc(), Order.id)\n"
MINE = (
    "    if who != STAFF:\n        query = query.join(Order.customer).where(Customer.name == who)\n"
)
STATUS = "        if status and order.status != status:\n            continue\n"
LEAST = "        if least is not None and total < least:\n            continue\n"
TOTAL = "sum((line.price * line.quantity for line in order.lines), Decimal(0))"
DISCOUNT = "str(order.discount) if order.discount is not None else None"
NAME = "order.customer.name if order.customer else None"
CUT = "shown[start : start + PAGE]"
LINES = "        .where(Line.order_id == found.id)\n"
STOCK = "(product.stock or 0) if product else 0"
BEST = "stars.get(line.product_id) if line.product_id else None"
GONE = 'if found.discount is not None:\n        answer["discount"] = str(found.discount)'
SPENT = '            .where(Order.status == "paid")\n'
LAST = "shown_at(last, customer.zone) if last else None"
AVERAGE = "sum(stars) / len(stars) if stars else None"
CHEAPEST = "        .order_by(Product.price, Product.name, Product.id)\n"
WORD = "        if word and word not in product.name:\n            continue\n"
DEAREST = "        if dearest is not None and product.price > dearest:\n            continue\n"
ON_SALE = "        .where(Product.active)\n"
COUNTED = "            .where(Product.active)\n"
BY_RANK = ".order_by(Category.rank, Category.id)"
MINE_TO_PAY = """\
    if who != STAFF and (found.customer is None or found.customer.name != who):
        return 403, {"error": "not yours"}
"""
PAID_ALREADY = """\
    if found.status == "paid":
        return 409, {"error": "paid already"}
"""
LEFT = "max((line.product.stock or 0) - line.quantity, 0)"

CHANGES = {
    "orders": (
        ("lost order", (NEWEST, "")),
        ("lost order", (NEWEST, "        .order_by(Order.id)\n")),
        ("lost order", ("Order.placed.desc()", "Order.placed")),
        ("tie reordered", (NEWEST, "        .order_by(Order.placed.desc())\n")),
        ("tie reordered", ("desc(), Order.id)", "desc(), Order.id.desc())")),
        (
            "inner join drops rows",
            ("joinedload(Order.customer)", "joinedload(Order.customer, innerjoin=True)"),
        ),
        ("inner join drops rows", (NEWEST, NEWEST + "        .join(Order.customer)\n")),
        ("inner join drops rows", (NEWEST, NEWEST + "        .where(Order.lines.any())\n")),
        (
            "duplicates from a join",
            (NEWEST, NEWEST + "        .outerjoin(Line, Line.order_id == Order.id)\n"),
        ),
        ("permission dropped", (MINE, "")),
        (
            "permission moved",
            (
                MINE,
                '    if who not in (STAFF, ""):\n        query = query.join(Order.customer).where(Customer.name == who)\n',
            ),
        ),
        ("permission moved", ("Customer.name == who", "func.lower(Customer.name) == who.lower()")),
        ("permission moved", ("Customer.name == who", "Customer.name.startswith(who)")),
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
        (
            "count before filter",
            (
                '"count": len(shown)',
                '"count": session.scalar(select(func.count()).select_from(Order))',
            ),
        ),
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
        (
            "key dropped when null",
            (
                "        shown.append(\n            {",
                "        shown.append(\n            {key: value for key, value in {",
            ),
            (
                '"lines": len(order.lines),\n            }',
                '"lines": len(order.lines),\n            }.items() if value is not None}',
            ),
        ),
        ("0.0 for 0", ('"lines": len(order.lines)', '"lines": float(len(order.lines))')),
        ("text for number", ('"id": order.id', '"id": str(order.id)')),
        ("hidden limit", (NEWEST, NEWEST + "        .limit(100)\n")),
        ("hidden limit", (NEWEST, NEWEST + "        .limit(12)\n")),
        ("huge integer in SQL", (NEWEST, NEWEST + "        .limit(max(page * PAGE, 1000))\n")),
        ("wrong total", (TOTAL, "sum((line.price for line in order.lines), Decimal(0))")),
        (
            "wrong total",
            (TOTAL, "sum({line.price * line.quantity for line in order.lines}, Decimal(0))"),
        ),
        (
            "wrong total",
            (
                TOTAL,
                "sum((line.price * line.quantity for line in order.lines if line.quantity > 0), Decimal(0))",
            ),
        ),
        (
            "wrong total",
            (
                TOTAL,
                "sum((line.price * line.quantity for line in order.lines if line.product_id), Decimal(0))",
            ),
        ),
        (
            "wrong total",
            (
                TOTAL,
                "(sum((line.price * line.quantity for line in order.lines), Decimal(0)) - (order.discount or 0))",
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
        ("lost order", ("        .order_by(Line.id)\n", "")),
        ("lost order", (".order_by(Line.id)", ".order_by(Line.price)")),
        ("lost order", (".order_by(Line.id)", ".order_by(Line.id.desc())")),
        (
            "inner join drops rows",
            ("joinedload(Line.product)", "joinedload(Line.product, innerjoin=True)"),
        ),
        (
            "inner join drops rows",
            (
                "joinedload(Line.product).joinedload(Product.category)",
                "joinedload(Line.product, innerjoin=True).joinedload(Product.category, innerjoin=True)",
            ),
        ),
        (
            "inner join drops rows",
            (LINES, LINES.replace("found.id)", "found.id, Line.product_id.is_not(None))")),
        ),
        (
            "duplicates from a join",
            (LINES, "        .outerjoin(Review, Review.product_id == Line.product_id)\n" + LINES),
        ),
        (
            "default manager bypassed",
            (
                LINES,
                LINES.replace(
                    "found.id)",
                    "found.id, or_(Line.product_id.is_(None), Line.product.has(Product.active)))",
                ),
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
            ("if who != STAFF and name != who", "if who != STAFF and name != who and found.lines"),
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
            (
                'number(asked, "id", 0), options',
                'int(asked["id"]) if asked["id"].isdigit() else 0, options',
            ),
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
        ("wrong aggregate", ("func.max(Review.stars)", "func.min(Review.stars)")),
        ("wrong aggregate", ("func.max(Review.stars)", "func.avg(Review.stars)")),
        (
            "wrong aggregate",
            (
                ".where(Review.product_id.in_(keys))",
                ".where(Review.product_id.in_(keys), Review.stars > 0)",
            ),
        ),
        (
            "wrong aggregate",
            (
                ".where(Review.product_id.in_(keys))",
                ".where(Review.product_id.in_(list(keys)[:2]))",
            ),
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
        ("hidden limit", (".order_by(Line.id)", ".order_by(Line.id).limit(50)")),
        ("hidden limit", (".order_by(Line.id)", ".order_by(Line.id).limit(4)")),
    ),
    "products": (
        ("lost order", (CHEAPEST, "")),
        ("lost order", (CHEAPEST, "        .order_by(Product.id)\n")),
        ("tie reordered", (CHEAPEST, "        .order_by(Product.price)\n")),
        ("tie reordered", (CHEAPEST, "        .order_by(Product.price, Product.name)\n")),
        ("tie reordered", (CHEAPEST, "        .order_by(Product.price, Product.id)\n")),
        ("default manager bypassed", (ON_SALE, "")),
        (
            "default manager bypassed",
            (ON_SALE, "        .where(or_(Product.active, Product.stock > 0))\n"),
        ),
        (
            "inner join drops rows",
            ("joinedload(Product.category)", "joinedload(Product.category, innerjoin=True)"),
        ),
        ("inner join drops rows", (ON_SALE, ON_SALE + "        .join(Product.category)\n")),
        ("inner join drops rows", (ON_SALE, ON_SALE + "        .where(Product.reviews.any())\n")),
        (
            "duplicates from a join",
            (ON_SALE, "        .outerjoin(Review, Review.product_id == Product.id)\n" + ON_SALE),
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
            (ON_SALE, '        .where(Product.active, Product.name.like(f"%{word}%"))\n'),
            (WORD, ""),
        ),
        ("off by one", ("product.price > dearest", "product.price >= dearest")),
        ("absent for zero", ("if dearest is not None and product", "if dearest and product")),
        ("absent for zero", ("answer[: max(limit, 0)]", "answer[: limit or 20]")),
        ("absent for zero", ("answer[: max(limit, 0)]", "answer[: max(limit, 1)]")),
        ("page off by one", ("answer[: max(limit, 0)]", "answer[:limit]")),
        ("page off by one", ("answer[: max(limit, 0)]", "answer[: max(limit, 0) + 1]")),
        ("hidden limit", ('number(asked, "limit", 20)', 'min(number(asked, "limit", 20), 5)')),
        ("hidden limit", (CHEAPEST, CHEAPEST + "        .limit(20)\n")),
        ("limit before filter", (CHEAPEST, CHEAPEST + "        .limit(max(limit, 0))\n")),
        ("huge integer in SQL", (CHEAPEST, CHEAPEST + "        .limit(max(limit, 1000))\n")),
        (
            "filter pushed into SQL",
            (
                ON_SALE,
                ON_SALE
                + "        .where(True if dearest is None else Product.price < dearest + 1)\n",
            ),
            (DEAREST, ""),
        ),
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
        (
            "null swapped",
            (
                "[review.stars for review in product.reviews if review.stars is not None]",
                "[review.stars or 0 for review in product.reviews]",
            ),
        ),
        (
            "0.0 for 0",
            (
                "product.stock if product.stock is not None else 0",
                "product.stock if product.stock is not None else 0.0",
            ),
        ),
        ("0.0 for 0", (AVERAGE, "sum(stars) // len(stars) if stars else None")),
        ("rounded", (AVERAGE, "round(sum(stars) / len(stars), 1) if stars else None")),
        ("count before filter", ('"reviews": len(product.reviews)', '"reviews": len(stars)')),
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
        ("lost order", (".order_by(Customer.name, Customer.id)", "")),
        ("tie reordered", (".order_by(Customer.name, Customer.id)", ".order_by(Customer.name)")),
        ("lost order", (".order_by(Customer.name, Customer.id)", ".order_by(Customer.id)")),
        (
            "tie reordered",
            (
                ".order_by(Customer.name, Customer.id)",
                ".order_by(Customer.name, Customer.city, Customer.id)",
            ),
        ),
        (
            "inner join drops rows",
            ("select(Customer).order_by", "select(Customer).where(Customer.orders.any()).order_by"),
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
            ("select(Customer).order_by", "select(Customer).outerjoin(Customer.orders).order_by"),
        ),
        ("filter dropped", (SPENT, "")),
        ("filter changed", (SPENT, SPENT.replace("==", "!="))),
        ("filter changed", (SPENT, '            .where(Order.status.in_(("paid", "sent")))\n')),
        (
            "permission dropped",
            ('    if who != STAFF:\n        return 403, {"error": "staff alone"}\n', ""),
        ),
        ("permission moved", ("if who != STAFF:", "if not who:")),
        ("permission moved", ("if who != STAFF:", "if who.lower() != STAFF:")),
        ("wrong aggregate", ("func.sum(Line.price * Line.quantity)", "func.sum(Line.price)")),
        (
            "wrong aggregate",
            ("func.sum(Line.price * Line.quantity)", "func.max(Line.price * Line.quantity)"),
        ),
        ("wrong aggregate", ("func.max(Order.placed)", "func.min(Order.placed)")),
        ("wrong aggregate", ("func.count(), func.max", "func.count(Order.discount), func.max")),
        (
            "wrong aggregate",
            ("func.count(), func.max", "func.count(func.distinct(Order.placed)), func.max"),
        ),
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
        (
            "hidden limit",
            (
                ".order_by(Customer.name, Customer.id)",
                ".order_by(Customer.name, Customer.id).limit(100)",
            ),
        ),
        (
            "hidden limit",
            (
                ".order_by(Customer.name, Customer.id)",
                ".order_by(Customer.name, Customer.id).limit(3)",
            ),
        ),
        ("other row", ("paid.get(customer.id)", "paid.get(customer.id - 1)")),
    ),
    "categories": (
        ("lost order", (BY_RANK, "")),
        ("lost order", (BY_RANK, ".order_by(Category.id)")),
        ("lost order", (BY_RANK, ".order_by(Category.name)")),
        ("tie reordered", (BY_RANK, ".order_by(Category.rank)")),
        ("tie reordered", (BY_RANK, ".order_by(Category.rank, Category.name)")),
        ("tie reordered", (BY_RANK, ".order_by(Category.rank, Category.id.desc())")),
        ("default manager bypassed", (COUNTED, "")),
        ("filter changed", (COUNTED, "            .where(Product.active, Product.stock > 0)\n")),
        (
            "filter changed",
            (COUNTED, "            .where(Product.active, Product.stock.is_not(None))\n"),
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
                "select(Category).order_by",
                "select(Category).join(Product, Product.category_id == Category.id).distinct().order_by",
            ),
        ),
        (
            "duplicates from a join",
            (
                "select(Category).order_by",
                "select(Category).outerjoin(Product, Product.category_id == Category.id).order_by",
            ),
        ),
        ("null swapped", ("counts.get(category.id, 0)", "counts.get(category.id)")),
        ("null swapped", ("below.get(category.id, [])", "below.get(category.id)")),
        (
            "wrong aggregate",
            (
                "select(Product.category_id, func.count())",
                "select(Product.category_id, func.count(Product.stock))",
            ),
        ),
        (
            "wrong aggregate",
            (
                "select(Product.category_id, func.count())",
                "select(Product.category_id, func.count(func.distinct(Product.name)))",
            ),
        ),
        (
            "wrong aggregate",
            (
                "select(Product.category_id, func.count())",
                "select(Product.category_id, func.count(func.distinct(Product.price)))",
            ),
        ),
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
        ("hidden limit", (BY_RANK, BY_RANK + ".limit(100)")),
        ("hidden limit", (BY_RANK, BY_RANK + ".limit(6)")),
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
        ("side effect lost", ('    session.add(Audit(order_id=found.id, what="paid"))\n', "")),
        (
            "side effect lost",
            (
                "        line.product.stock = "
                + LEFT
                + "\n        left[line.product.name] = line.product.stock\n",
                "        left[line.product.name] = " + LEFT + "\n",
            ),
        ),
        (
            "side effect lost",
            ('    found.status = "paid"\n', ""),
            ('"status": found.status', '"status": "paid"'),
        ),
        ("side effect lost", ("    session.commit()\n", "")),
        ("side effect lost", ("    session.commit()\n", "    session.flush()\n")),
        (
            "side effect added",
            (
                'what="paid"))\n',
                'what="paid"))\n    session.add(Audit(order_id=found.id, what="seen"))\n',
            ),
        ),
        (
            "side effect added",
            (
                '    found.status = "paid"\n',
                '    found.status = "paid"\n    found.discount = found.discount or 0\n',
            ),
        ),
        ("side effect changed", ('what="paid"', 'what="Paid"')),
        (
            "side effect changed",
            ("order_id=found.id, what", "order_id=found.customer_id or 0, what"),
        ),
        ("side effect changed", (LEFT, "(line.product.stock or 0) - line.quantity")),
        (
            "side effect changed",
            (
                LEFT,
                "max(line.product.stock - line.quantity, 0) if line.product.stock else line.product.stock",
            ),
        ),
        ("side effect changed", (LEFT, "max((line.product.stock or 0) - 1, 0)")),
        (
            "write in another transaction",
            (
                '    session.add(Audit(order_id=found.id, what="paid"))\n',
                '    session.flush()\n    session.commit()\n    session.add(Audit(order_id=found.id, what="paid"))\n',
            ),
        ),
        (
            "stale bulk write",
            (
                "        line.product.stock = "
                + LEFT
                + "\n        left[line.product.name] = line.product.stock\n",
                '        session.execute(update(Product).where(Product.id == line.product_id).values(stock=Product.stock - line.quantity), execution_options={"synchronize_session": False})\n        left[line.product.name] = '
                + LEFT
                + "\n",
            ),
        ),
        (
            "inner join drops rows",
            ("joinedload(Order.customer),", "joinedload(Order.customer, innerjoin=True),"),
        ),
        (
            "null swapped",
            ("if line.product is None", "if line.product is None or not line.product.active"),
        ),
        (
            "null swapped",
            ("if line.product is None", "if line.product is None or line.product.stock is None"),
        ),
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
            (
                "left[line.product.name] = line.product.stock",
                "left[line.product.name] = float(line.product.stock)",
            ),
        ),
        ("other row", ("left[line.product.name]", "left[str(line.product_id)]")),
    ),
}
"""View to changes: the class of what goes wrong, then pairs of old and new text."""
