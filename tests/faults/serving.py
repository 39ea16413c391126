"""Serves WSGI applications as a server does, and gives the bytes that a client would get."""

from __future__ import annotations

import io
import re
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper

_OURS = re.compile(rb"^(?:Server-Timing|X-Queryscope-Trace): .*\r\n", re.MULTILINE)
_DATE = re.compile(rb"^Date: .*\r\n", re.MULTILINE)
"""The server's own."""


class Handler(SimpleHandler):
    """Counts the files that it may send by itself; otherwise a plain server."""

    http_version = "1.1"
    wsgi_file_wrapper = FileWrapper
    files = 0

    def sendfile(self):
        """Be asked to send a file, and leave it to the loop."""
        self.files += 1
        return False

    def log_exception(self, exc_info):
        """Say nothing: errors are part of these tests."""


class Served:
    """What a client gets, and what the server saw."""

    def __init__(self, out, files):
        """Take apart what was written."""
        self.has_ours = _OURS.search(out) is not None
        self.bytes = _DATE.sub(b"", _OURS.sub(b"", out))
        self.files = files
        head, _, self.body = self.bytes.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int([*self.head.split(" "), "0", "0"][1])


def environ_of(path="/", method="GET", body=b"", **more):
    """Return the WSGI environment of a request from this machine."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(body)),
        **more,
    }


def served(app, path="/", method="GET", body=b"", **more):
    """Serve one request of an application."""
    out = io.BytesIO()
    handler = Handler(
        io.BytesIO(body), out, io.StringIO(), environ_of(path, method, body, **more),
        multithread=True, multiprocess=False,
    )  # fmt: skip
    handler.run(app)
    return Served(out.getvalue(), handler.files)
