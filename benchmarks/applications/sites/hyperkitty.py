"""HyperKitty: archives of mailing lists, on Django with templates and a REST framework."""

from __future__ import annotations

import datetime as dt
import gzip
import logging
import os
from email.message import EmailMessage
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.applications.site import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PACKAGES = ("hyperkitty", "django_mailman3")
BUSY = "list00@example.com"
"""The list that has all the threads."""
LONG = 0
"""The thread that has all the replies."""
DAY = dt.timedelta(days=1)


def start(folder: Path, settings: Mapping[str, Any] | None) -> None:
    """Run it on the settings of its own tests, with a database file."""
    import django
    from django.conf import settings as django_settings

    logging.disable(logging.WARNING)
    own = import_module("hyperkitty.tests.settings_test")
    values = {name: getattr(own, name) for name in dir(own) if name.isupper()}
    values["DATABASES"] = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "hyperkitty.sqlite3"}
    }
    values["ALLOWED_HOSTS"] = ["testserver"]
    values["STATIC_ROOT"] = str(folder / "static")
    values["HAYSTACK_CONNECTIONS"] = {
        "default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}
    }
    values["HAYSTACK_SIGNAL_PROCESSOR"] = "haystack.signals.BaseSignalProcessor"
    if settings is not None:
        values["MIDDLEWARE"] = ("queryscope.django.Middleware", *values["MIDDLEWARE"])
        values["QUERYSCOPE"] = dict(settings)
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    django_settings.configure(**values)
    django.setup()
    _without_mailman()


def _without_mailman() -> None:
    """Answer for the mail server, which is another program: the user reads every list."""
    from django_mailman3.lib import mailman
    from hyperkitty.models import MailingList

    class Client:
        def get_user(self, _: str) -> Any:
            ids = MailingList.objects.values_list("list_id", flat=True)
            members = [
                SimpleNamespace(list_id=one, address="reader@example.com", role="member")
                for one in ids
            ]
            return SimpleNamespace(
                user_id="00000000000000000000000000000001", subscriptions=members
            )

        def get_list(self, _: str) -> Any:
            from mailmanclient import MailmanConnectionError

            raise MailmanConnectionError

    mailman.MailmanClient = lambda *_: Client()


def seed(size: int) -> None:
    """Archive mails through the application's own door, then let the reader vote and tag."""
    from allauth.account.models import EmailAddress
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from hyperkitty.lib.incoming import add_to_list
    from hyperkitty.models import (
        Email,
        Favorite,
        LastView,
        MailingList,
        Tag,
        Tagging,
        Thread,
        ThreadCategory,
        Vote,
    )  # fmt: skip

    call_command("migrate", verbosity=0)
    now = dt.datetime.now(dt.UTC).replace(hour=0, minute=0) - 10 * DAY
    for name in ("reader", "owner"):
        User.objects.create_user(name, f"{name}@example.com", "secret")
    reader = User.objects.get(username="reader")
    EmailAddress.objects.create(user=reader, email=reader.email, verified=True, primary=True)

    def send(where: str, thread: int, reply: int) -> None:
        mail = EmailMessage()
        number = reply + 1
        writer = "reader" if number == 1 else f"writer{number}"
        mail["From"] = f"{writer} <{writer}@example.com>"
        mail["Subject"] = f"Thread {thread} of {where}"
        mail["Message-ID"] = f"<{where}-{thread}-{reply}>"
        if reply >= 0:
            mail["In-Reply-To"] = f"<{where}-{thread}--1>"
        moment = now + dt.timedelta(minutes=thread * 50 + reply)
        mail["Date"] = moment.strftime("%a, %d %b %Y %H:%M:%S +0000")
        mail.set_content(f"Thread {thread}, mail {reply}.")
        add_to_list(where, mail)

    for number in range(size):
        send(f"list{number:02}@example.com", LONG, -1)
    for thread in range(1, size):
        send(BUSY, thread, -1)
        send(BUSY, thread, 0)
    for reply in range(size):
        send(BUSY, LONG, reply)
    busy = MailingList.objects.get(name=BUSY)
    categories = [ThreadCategory.objects.create(name=f"kind {n}") for n in range(size)]
    for number, thread in enumerate(Thread.objects.filter(mailinglist=busy).order_by("pk")):
        Favorite.objects.create(thread=thread, user=reader)
        LastView.objects.create(thread=thread, user=reader)
        tag = Tag.objects.create(name=f"tag{number:02}")
        Tagging.objects.create(thread=thread, user=reader, tag=tag)
        thread.category = categories[number]
        thread.save()
    first = Thread.objects.filter(mailinglist=busy).order_by("pk")[0]
    for number in range(size):
        tag, _ = Tag.objects.get_or_create(name=f"tag{number:02}")
        Tagging.objects.get_or_create(thread=first, user=reader, tag=tag)
    for mail in Email.objects.filter(mailinglist=busy):
        Vote.objects.create(email=mail, user=reader, value=1)


def log_in() -> Callable[[str], Answer]:
    """Ask as the reader."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(
        User.objects.get(username="reader"), "django.contrib.auth.backends.ModelBackend"
    )

    def ask(path: str) -> Answer:
        response: Any = client.get(path)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        if path.endswith(".gz"):
            body = gzip.decompress(body)  # the head of the file has the time in it
        return Answer(response.status_code, body)

    return ask


def endpoints() -> Sequence[Endpoint]:
    """Return lists, threads, profile pages, the feed and the API."""
    from hyperkitty.models import Thread

    thread = Thread.objects.filter(mailinglist__name=BUSY).order_by("pk")[0]
    busy, one, api = f"/list/{quote(BUSY)}/", f"thread/{thread.thread_id}/", "/api/list/"
    mail = thread.starting_email.message_id_hash
    return (
        Endpoint("all lists", "/"),
        Endpoint("all lists by activity", "/?sort=active"),
        Endpoint("lists by name", "/find-list?term=list"),
        Endpoint("list", busy),
        Endpoint("list, latest", f"{busy}latest"),
        Endpoint("list, recent threads", f"{busy}recent-threads"),
        Endpoint("list, popular threads", f"{busy}pop-threads"),
        Endpoint("list, top threads", f"{busy}top-threads"),
        Endpoint("list, favourites", f"{busy}favorites"),
        Endpoint("list, posted to", f"{busy}posted-to"),
        Endpoint("list, top posters", f"{busy}top-posters"),
        Endpoint("list, feed", f"{busy}feed/"),
        Endpoint("list, export", f"{busy}export/list.mbox.gz"),
        Endpoint("thread", f"{busy}{one}"),
        Endpoint("thread, replies", f"{busy}{one}replies?sort=thread"),
        Endpoint("message", f"{busy}message/{mail}/"),
        Endpoint("search", "/search?q=thread"),
        Endpoint("profile", "/profile/?lpcount=100"),
        Endpoint("profile, favourites", "/profile/favorites"),
        Endpoint("profile, last views", "/profile/last_views"),
        Endpoint("profile, votes", "/profile/votes"),
        Endpoint("profile, subscriptions", "/profile/subscriptions"),
        Endpoint("API, lists", "/api/lists/"),
        Endpoint("API, threads", f"{api}{quote(BUSY)}/threads/"),
        Endpoint("API, mails", f"{api}{quote(BUSY)}/{one}emails/"),
        Endpoint("API, tags", "/api/tags/"),
    )


def forget() -> None:
    """Empty Django's cache."""
    from django.core.cache import cache

    cache.clear()
