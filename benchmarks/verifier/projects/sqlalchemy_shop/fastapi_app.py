"""The shop on FastAPI."""

from __future__ import annotations

import views
from asked import Unfit
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from models import Session

app = FastAPI()


def answer(view, request: Request, **more) -> JSONResponse:
    """Return what a view answers in a session of its own."""
    asked = {**request.query_params, **more}
    with Session() as session:
        try:
            status, data = view(session, request.headers.get("X-User", ""), asked)
        except Unfit as error:
            status, data = 400, {"error": str(error)}
    return JSONResponse(data, status)


@app.get("/orders")
def orders(request: Request):
    """Answer a page of orders."""
    return answer(views.orders, request)


@app.get("/orders/{id}")
def order(request: Request, id: str):
    """Answer one order."""
    return answer(views.order, request, id=id)


@app.post("/orders/{id}/pay")
def pay(request: Request, id: str):
    """Let an order be paid."""
    return answer(views.pay, request, id=id)


@app.get("/products")
def products(request: Request):
    """Answer the products."""
    return answer(views.products, request)


@app.get("/customers")
def customers(request: Request):
    """Answer the customers."""
    return answer(views.customers, request)


@app.get("/categories")
def categories(request: Request):
    """Answer the shelves."""
    return answer(views.categories, request)
