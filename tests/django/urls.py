"""The routes of the Django tests."""

from __future__ import annotations

from django.urls import path

from tests.django import views

urlpatterns = [
    path("books/", views.book_list),
    path("books/<int:pk>/", views.book_detail),
    path("page/", views.book_page),
    path("broken/", views.broken),
    path("stream/", views.stream),
    path("plain/", views.plain),
]
