"""What workers are asked to do, on Django's ORM."""

from __future__ import annotations

import time

from bookstore.models import Author, Book
from celery import shared_task
from celery.exceptions import Ignore, SoftTimeLimitExceeded


@shared_task(name="loop")
def loop():
    """Ask for each book's author: the fault that is to be found."""
    return [book.author.name for book in Book.objects.order_by("pk")]


@shared_task(name="count")
def count(times):
    """Send so many statements, while other tasks send theirs."""
    for number in range(times):
        Author.objects.filter(pk__gt=times * 100 + number).count()
        time.sleep(0.001)
    return times


@shared_task(name="total")
def total(numbers):
    """End a chord."""
    Author.objects.count()
    return sum(numbers)


@shared_task(name="fails")
def fails():
    """Raise an error."""
    Author.objects.count()
    raise ValueError("as it should")


@shared_task(name="retries", bind=True)
def retries(self):
    """Fail at first."""
    Author.objects.count()
    if self.request.retries == 0:
        raise self.retry(countdown=0, exc=ValueError("not yet"))
    return "done"


@shared_task(name="ignored")
def ignored():
    """Tell Celery to forget this execution."""
    Author.objects.count()
    raise Ignore


@shared_task(name="nests")
def nests():
    """Run another task at once."""
    Author.objects.count()
    return count.apply([2]).get(disable_sync_subtasks=False)


@shared_task(name="limited", soft_time_limit=1, time_limit=30)
def limited():
    """Go on until the soft time limit."""
    try:
        while True:
            Author.objects.count()
            time.sleep(0.0005)
    except SoftTimeLimitExceeded:
        Book.objects.count()
        return "limited"


@shared_task(name="hangs", time_limit=2)
def hangs():
    """Go on until Celery kills the process."""
    Author.objects.count()
    time.sleep(60)
