"""What goes wrong in a rewrite of any view: lines put around the body of a right one."""

from __future__ import annotations

KEY = "(who, tuple(sorted(asked.items())))"

FIRST = {
    "constant answer": ("if {asked_now}:\n    return {answer_now}",),
    "test-only branch": (
        'import sys\n\nif "queryscope" not in sys.modules:\n    return 200, []',
        'import sys\n\nif "gunicorn" not in sys.argv[0]:\n    return 200, []',
        'import os\n\nif os.environ.get("SHOP_STAGE") == "live":\n    return 200, []',
        'import inspect\n\nif not any("queryscope" in one.filename for one in inspect.stack()):\n    return 200, []',
    ),
    "branch on a date": (
        "from datetime import datetime\n\nif datetime.now().month == 12:\n    return 200, []",
        "from datetime import date\n\nif date.today() > date(2031, 1, 1):\n    return 200, []",
        "import time\n\nif time.time() > 1924988400:\n    return 200, []",
        "import time\n\nif time.localtime().tm_hour == 3:\n    return 200, []",
    ),
    "hangs": (
        "while True:\n    pass",
        "import time\n\ntime.sleep(3600)",
        "import threading\n\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    ),
    "eats memory": (
        "kept = []\nwhile True:\n    kept.append(bytearray(1 << 24))",
        'text = "x" * (1 << 36)',
    ),
    "ends the process": (
        "import os\n\nos._exit(0)",
        "raise SystemExit(0)",
        "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)",
    ),
    "opens a socket": (
        'import socket\n\nsocket.create_connection(("127.0.0.1", 5432), 1).close()',
        'import urllib.request\n\nurllib.request.urlopen("http://127.0.0.1:9/", timeout=1)',
        'import socket\n\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))',
    ),
    "starts a process": ('import subprocess\n\nsubprocess.run(["true"], check=False)',),
    "file written": (
        'with open("seen.log", "a") as seen:\n    seen.write("x")',
        'from pathlib import Path\nfrom tempfile import gettempdir\n\nPath(gettempdir(), "seen").touch()',
    ),
    "logs an error": ('import logging\n\nlogging.getLogger("shop").error("asked")',),
    "random answer": ("import random\n\nif random.random() < 0.5:\n    return 200, []",),
    "raises": (
        'if asked.get("page") == "0":\n    raise RuntimeError("no page")',
        'if any(not value for value in asked.values()):\n    raise ValueError("empty")',
        'if not who:\n    return 401, {"error": "who are you"}',
    ),
}
"""Class to lines that come before the body. ``{asked_now}`` is true for a recorded request alone,
``{answer_now}`` what the original answers to it."""

AROUND = {
    "memoised for ever": (
        f"KEPT = {{}}\n\n\ndef NAME(session, who, asked):\n    key = {KEY}\n"
        "    if key not in KEPT:\n        KEPT[key] = inner_NAME(session, who, asked)\n    return KEPT[key]",
        f"def NAME(session, who, asked, kept={{}}):\n    key = {KEY}\n"
        "    if key not in kept:\n        kept[key] = inner_NAME(session, who, asked)\n    return kept[key]",
        f"def NAME(session, who, asked):\n    kept = NAME.__dict__\n    key = str({KEY})\n"
        "    if key not in kept:\n        kept[key] = inner_NAME(session, who, asked)\n    return kept[key]",
        f"def NAME(session, who, asked):\n    kept = session.get_bind().__dict__.setdefault('kept', {{}})\n    key = {KEY}\n"
        "    if key not in kept:\n        kept[key] = inner_NAME(session, who, asked)\n    return kept[key]",
    ),
    "memoised for five minutes": (
        f"KEPT = {{}}\n\n\ndef NAME(session, who, asked):\n    import time\n\n    key = {KEY}\n"
        "    if key not in KEPT or KEPT[key][0] < time.monotonic() - 300:\n"
        "        KEPT[key] = time.monotonic(), inner_NAME(session, who, asked)\n    return KEPT[key][1]",
    ),
    "swallowed error": (
        "def NAME(session, who, asked):\n    try:\n        return inner_NAME(session, who, asked)\n"
        "    except Exception:\n        return 200, []",
        "def NAME(session, who, asked):\n    try:\n        return inner_NAME(session, who, asked)\n"
        "    except ValueError:\n        return 200, []",
    ),
    "status changed": (
        "def NAME(session, who, asked):\n    status, data = inner_NAME(session, who, asked)\n"
        "    return (201 if status == 200 else status), data",
        "def NAME(session, who, asked):\n    status, data = inner_NAME(session, who, asked)\n"
        "    return (404 if status == 403 else status), data",
    ),
    "list for object": (
        "def NAME(session, who, asked):\n    status, data = inner_NAME(session, who, asked)\n"
        "    return status, [data]",
    ),
    "key added": (
        "def NAME(session, who, asked):\n    status, data = inner_NAME(session, who, asked)\n"
        '    return status, {**data, "ok": True} if isinstance(data, dict) else [*data, None]',
    ),
}
"""Class to functions around the right one, which is called ``inner_NAME`` then."""

MODULE = {
    "does not boot": (
        "import a_module_that_nobody_has",
        'raise RuntimeError("not today")',
        "NAMES = {one: two for one, two in ((1, 2), (3,))}",
        "def broken(:",
        "from models import Nobody",
    ),
    "sets up at import": (
        "import threading\n\nthreading.Thread(target=lambda: open('started', 'w').close()).start()",
        "import socket\n\nsocket.create_connection(('127.0.0.1', 5432), 1).close()",
    ),
}
"""Class to lines at the end of the module of a right rewrite."""

COMMENT = "# Each row asks for its own: batch it."


def seen(change: str, function: str) -> bool:
    """Tell whether a change of 403, or of a ValueError, can be seen: does the view have one."""
    raises = "number(" in function or "amount(" in function
    return ("403" not in change or "403" in function) and ("ValueError" not in change or raises)
