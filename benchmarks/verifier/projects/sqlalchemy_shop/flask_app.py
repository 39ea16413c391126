"""The shop on Flask."""

from __future__ import annotations

import views
from asked import Unfit
from flask import Flask, jsonify, request
from models import Session

app = Flask(__name__)


def answer(view, **more):
    """Return what a view answers in a session of its own."""
    asked = {**request.args.to_dict(), **more}
    with Session() as session:
        try:
            status, data = view(session, request.headers.get("X-User", ""), asked)
        except Unfit as error:
            status, data = 400, {"error": str(error)}
    return jsonify(data), status


@app.get("/orders")
def orders():
    """Answer a page of orders."""
    return answer(views.orders)


@app.get("/orders/<id>")
def order(id):
    """Answer one order."""
    return answer(views.order, id=id)


@app.post("/orders/<id>/pay")
def pay(id):
    """Let an order be paid."""
    return answer(views.pay, id=id)


@app.get("/products")
def products():
    """Answer the products."""
    return answer(views.products)


@app.get("/customers")
def customers():
    """Answer the customers."""
    return answer(views.customers)


@app.get("/categories")
def categories():
    """Answer the shelves."""
    return answer(views.categories)
