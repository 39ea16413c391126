"""What a request was answered with: digests that tell equal answers, and no text of them.

Full recording only, and successful answers to ``GET`` whose length is known beforehand: what is
streamed ends when it ends. Who asked is not kept, only whether the request said who it was.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from queryscope.trace.events import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_ANSWER_BYTES = 1024 * 1024
"""Longer answers have no digest: what it costs to make one is what it costs to send it."""
MAX_HEADER_CHARS = 200
_OK = "200"
_DIGEST_BYTES = 8


class OpenAnswer:
    """The answer to one request while it is given.

    Attributes:
        asked: What identical requests have in common: path and query; kept until it is digested.
        credentials: The request had a cookie or an authorization.
    """

    __slots__ = ("_body", "_headers", "_length", "_size", "asked", "credentials")

    def __init__(self, environ: Mapping[str, object]) -> None:
        """Take what a request asks for, from a WSGI environment."""
        self.asked = f"{environ.get('PATH_INFO') or '/'}?{environ.get('QUERY_STRING') or ''}"
        self.credentials = bool(environ.get("HTTP_COOKIE") or environ.get("HTTP_AUTHORIZATION"))
        self._headers: dict[str, str] = {}
        self._length: int | None = None
        self._size = 0
        self._body = None if environ.get("HTTP_RANGE") else hashlib.blake2b()

    def begin(self, status: str, headers: Iterable[tuple[str, str]]) -> None:
        """Note the head of the response."""
        if status != _OK:
            self._body = None
            return
        self._headers = {}
        for name, value in headers:
            self._headers[name.lower()] = value
        length = self._headers.get("content-length", "")
        self._length = int(length) if length.isdigit() else None
        if "content-type" in self._headers and self._body is not None:
            self._body.update(f"{self._headers['content-type']}\0".encode())
        if (self._length or 0) > MAX_ANSWER_BYTES:
            self._body = None

    def add(self, chunk: bytes) -> None:
        """Note a part of the body."""
        if self._body is None:
            return
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            self._body = None
        else:
            self._body.update(chunk)

    def whole(self) -> None:
        """Note that the body is there as a whole, although no header says its length."""
        self._length = self._size

    def frozen(self, key: bytes) -> Answer | None:
        """Return the answer; None for one that is not known, or not to the end."""
        if self._body is None or self._length is None or self._size != self._length:
            return None

        def header(name: str) -> str:
            return self._headers.get(name, "")[:MAX_HEADER_CHARS]

        return Answer(
            _digest(self.asked.encode("utf-8", "replace"), key),
            _digest(self._body.digest(), key),
            self._size,
            header("cache-control") or header("expires"),
            header("vary"),
            "set-cookie" in self._headers,
            self.credentials,
        )


def _digest(content: bytes, key: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=key).hexdigest()
