"""Whatever hook it is in, what is raised from outside comes out, and nothing is left of it.

``swept`` has the requests; each way and database is a process of its own. Here some of the places
are tried, others in each run. All of them, for as long as it takes:

    QUERYSCOPE_SWEEP_S=0 make test ARGS="tests/faults/test_swept.py"
"""

from __future__ import annotations

import os
import random
from importlib.util import find_spec

import pytest

from tests.contract_suite.plan import Plan
from tests.contract_suite.suite import databases
from tests.faults.child import run

SWEEP_S = float(os.environ.get("QUERYSCOPE_SWEEP_S", "4"))
LIMIT_S = 120 if SWEEP_S else 7_200
SUBJECTS = [
    # (ORM, database, SQLAlchemy's name of the driver, way)
    ("django", "sqlite", "", "django-wsgi"),
    ("django", "sqlite", "", "django-async"),
    ("django", "postgresql", "", "django-wsgi"),
    ("sqlalchemy", "sqlite", "", "profile"),
    ("sqlalchemy", "sqlite", "", "flask"),
    ("sqlalchemy", "sqlite", "", "async-fastapi"),
    ("sqlalchemy", "sqlite", "", "celery"),
    ("sqlalchemy", "sqlite", "", "greenlet"),
    ("sqlalchemy", "mariadb", "pymysql", "flask"),
]


@pytest.mark.parametrize(("orm", "database", "driver", "way"), SUBJECTS)
def test_every_place_of_ours_can_be_interrupted(orm, database, driver, way, tmp_path):
    """Wherever Python looks for signals in our frames: what is raised there comes out, only that.

    Afterwards the thread is in no Recorder, no other one waits for a lock, the Trace is there or
    counted as lost, and the next request has the Trace it had before.
    """
    if way == "greenlet" and find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    seed = random.SystemRandom().randrange(10**6)
    with databases(database, tmp_path) as (first, second):
        plan = Plan(orm, database, driver, first, second, (way,), "")
        lines = [
            "from tests.faults.swept import sweep_all",
            f"sweep_all({plan.text()!r}, {seed}, {SWEEP_S})",
        ]
        if way == "greenlet":
            lines.insert(0, "from gevent import monkey; monkey.patch_all()")
        done = run("\n".join(lines), check=False, limit_s=LIMIT_S)
    assert done.stdout == "()\nenough\n", f"{seed}\n{done.stderr[-4000:]}"
