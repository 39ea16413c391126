"""Django on the drivers that it takes second, psycopg2 and PyMySQL, in a process of its own.

``python -m tests.databases.older DRIVER URL`` prints what was recorded, as JSON.
"""

from __future__ import annotations

import io
import json
import sys

from tests.databases.configured import django_settings


def main(driver, url):
    """Use the driver through Django, and print the facts."""
    if driver == "psycopg2":
        sys.modules["psycopg"] = None  # Django takes the newer one where it can be imported
    else:
        import pymysql

        pymysql.version_info = (2, 2, 4, "final", 1)  # what Django asks of mysqlclient
        pymysql.install_as_MySQLdb()
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": django_settings(url)},
        INSTALLED_APPS=["django.contrib.contenttypes", "tests.django.library"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from django.db import connection

    from queryscope.django import hooks
    from queryscope.trace import guard
    from tests.databases.aliases import make_genres
    from tests.django.recorded import recorded

    hooks.install(full=False)
    make_genres("default")
    runs = []
    for debug in (False, True):
        connection.force_debug_cursor = debug
        with recorded("light") as run:
            use(driver, connection)
        runs.append(run)
    connection.close()
    hooks.uninstall()
    found = {
        "driver": connection.Database.__name__,
        "failures": [failure.error for failure in guard.failures()],
        "runs": [[(q.operation, q.many, q.rows, q.error) for q in one.queries] for one in runs],
        "outcomes": [item.outcome for item in runs[0].trace.transactions],
        "copies": [q.statement for q in runs[0].queries if q.statement.startswith("COPY")],
    }
    sys.stdout.write(json.dumps(found))


def use(driver, connection):
    """Read, write, stream, copy and fail, and take all of it back."""
    from django.db import DatabaseError, transaction

    from tests.django.library.models import Genre

    genres = Genre.objects.order_by("pk")
    with transaction.atomic():
        list(genres)
        list(genres.iterator(chunk_size=2))
        genres.filter(name="g1").update(name="x")
        genres.bulk_create([Genre(name="new 1"), Genre(name="new 2")])
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM library_genre")
            cursor.fetchmany(3)
            cursor.executemany("UPDATE library_genre SET name = %s", [["a"], ["b"]])
            if driver == "psycopg2":
                cursor.copy_expert("COPY library_genre (name) FROM STDIN", io.StringIO("a\nb\n"))
                cursor.copy_to(io.StringIO(), "library_genre")
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT nonsense")
        except DatabaseError:
            pass
        transaction.set_rollback(True)


if __name__ == "__main__":
    main(*sys.argv[1:])
