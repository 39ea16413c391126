"""Where two answers differ: status, headers, body by path with types, effects.

A path is what ``Difference.path`` says. One that is unstable has ``[*]`` for every index, and may
end with a word in brackets that says how much of it holds:

| path | the same code gave | still compared |
|---|---|---|
| ``body $.items[*].token`` | another value of the same pattern | type and pattern |
| ``body $.note (type)`` | another value of another pattern | type |
| ``body $.hint (any)`` | another type, or sometimes nothing | nothing |
| ``body $.tags (order)`` | the same elements in another order | elements, each as often |
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from queryscope.verify.bodies import body_of
from queryscope.verify.contract import Difference
from queryscope.verify.pages import Element
from queryscope.verify.patterns import pattern_of, type_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from queryscope.verify.contract import Answer

ABSENT = "(absent)"
"""Stands where one of two answers has nothing."""
MOST = 50
"""Differences that are kept of two answers."""
SHOWN_CHARACTERS = 80
"""Of a value in a Difference."""
TRANSPORT_HEADERS = frozenset({"connection", "date", "keep-alive", "server", "transfer-encoding"})
"""Headers that the server makes, not the application."""

NEVER_EXCUSED = frozenset({"body", "error", "status"})
"""Paths that are compared by value whatever the baseline did: a request whose status is unstable
proves nothing, and is for the caller to leave out. ``body`` is the kind of a body."""

TYPE, ANY, ORDER = " (type)", " (any)", " (order)"
_INDEX = re.compile(r"\[\d+\]")
_MISSING = object()


def differences(
    expected: Answer, got: Answer, *, unstable: Collection[str] = ()
) -> tuple[Difference, ...]:
    """Return where two answers differ, the most telling first, at most ``MOST``.

    Args:
        expected: What the original code answered.
        got: What the patched code answered.
        unstable: Paths of ``unstable_paths``.
    """
    if expected == got:
        return ()
    return tuple(_Walk(frozenset(unstable)).answers(expected, got))[:MOST]


def unstable_paths(first: Answer, second: Answer) -> frozenset[str]:
    """Return the paths that differ between two runs of the same code, with what of them holds."""
    if first == second:
        return frozenset()
    found: set[str] = set()
    _Walk(frozenset(), found, most=None).exhaust(first, second)
    return frozenset(found)


def loose(first: Answer, second: Answer) -> str:
    """Return what two runs of the same code do not keep so that nothing is left to compare.

    Returns:
        ``Not even the status``, ``No field of the body``, or ``""`` where something holds.
    """
    lost = {path.partition(" (")[0] for path in unstable_paths(first, second)}
    if lost & {"status", "error"}:
        return "Not even the status"
    if not any(path.startswith("body") for path in lost):
        return ""
    body = body_of(first.body, first.header("content-type") or "")
    root = "body $" if body.kind in {"json", "lines of json"} else "body"
    # Of bytes the size alone says nothing.
    held = "body.digest" not in lost and not lost.issuperset(_leaves(root, body.value))
    return "" if held else "No field of the body"


def _leaves(path: str, value: object) -> Iterator[str]:
    """Yield the lasting paths of what holds nothing further."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(f"{path}{_step(key)}", one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(f"{path}[*]", one)
    else:
        yield path


def table_of(found: Sequence[Difference], *, most: int = 8) -> str:
    """Return differences as aligned lines that a person reads at a glance."""
    lines = [("", "expected", "got"), *(tuple(one) for one in found[:most])]
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    text = [
        f"{path:<{widths[0]}}  {expected:<{widths[1]}}  {got}".rstrip()
        for path, expected, got in lines
    ]
    if len(found) > most:
        more = f"{len(found) - most}{' or more' if len(found) == MOST else ''}"
        text.append(f"and {more} other places")
    return "\n".join(text)


def spelled(value: object) -> str:
    """Return a value as JSON spells it, its type visible, bounded."""
    if value is _MISSING:
        return ABSENT
    if isinstance(value, Element):
        inside = " ".join(child for child in value.children if isinstance(child, str))
        text = f"<{value.tag}> {inside}".strip()
    else:
        text = json.dumps(value, ensure_ascii=False, default=spelled)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[: SHOWN_CHARACTERS - 1]}…"


@dataclass(slots=True)
class _Walk:
    """Two answers walked side by side.

    Attributes:
        unstable: Paths that need not hold.
        learned: Where to note what does not hold; None when a patch is judged.
        most: Differences after which the walk ends.
    """

    unstable: frozenset[str]
    learned: set[str] | None = None
    most: int | None = MOST

    def exhaust(self, first: Answer, second: Answer) -> None:
        """Walk to the end, for what is learned."""
        for _ in self.answers(first, second):
            pass

    def answers(self, expected: Answer, got: Answer) -> Iterator[Difference]:
        """Yield every difference: what is most telling first."""
        yield from self._leaf("status", expected.status, got.status)
        yield from self._leaf("error", expected.error, got.error)
        types = [answer.header("content-type") or "" for answer in (expected, got)]
        bodies = [
            body_of(answer.body, kind) for answer, kind in zip((expected, got), types, strict=True)
        ]
        if bodies[0].kind != bodies[1].kind:
            yield from self._leaf("body", f"{bodies[0].kind}", f"{bodies[1].kind}")
        elif bodies[0].kind in {"json", "lines of json"}:
            yield from self._values("body $", bodies[0].value, bodies[1].value)
        else:
            yield from self._values("body", bodies[0].value, bodies[1].value)
        yield from self._named("effect ", _effects(expected), _effects(got))
        empty = not expected.body and not got.body
        yield from self._named("header ", _headers(expected, empty), _headers(got, empty))

    def _named(
        self, prefix: str, expected: dict[str, object], got: dict[str, object]
    ) -> Iterator[Difference]:
        for name in dict.fromkeys([*expected, *got]):
            yield from self._values(
                f"{prefix}{name}", expected.get(name, _MISSING), got.get(name, _MISSING)
            )

    def _values(self, path: str, expected: object, got: object) -> Iterator[Difference]:
        if expected is _MISSING or got is _MISSING or type_of(expected) != type_of(got):
            yield from self._leaf(path, expected, got)
        elif isinstance(expected, dict) and isinstance(got, dict):
            for key in dict.fromkeys([*expected, *got]):
                yield from self._values(
                    f"{path}{_step(key)}", expected.get(key, _MISSING), got.get(key, _MISSING)
                )
        elif isinstance(expected, list) and isinstance(got, list):
            yield from self._lists(path, expected, got)
        elif isinstance(expected, Element) and isinstance(got, Element):
            yield from self._elements(path, expected, got)
        else:
            yield from self._leaf(path, expected, got)

    def _elements(self, path: str, expected: Element, got: Element) -> Iterator[Difference]:
        mine, its = dict(expected.steps()), dict(got.steps())
        for step in dict.fromkeys([*mine, *its]):
            yield from self._values(
                f"{path}{step}", mine.get(step, _MISSING), its.get(step, _MISSING)
            )
        children = [[step for step in steps if step.startswith(" > ")] for steps in (mine, its)]
        if children[0] != children[1] and set(children[0]) == set(children[1]):
            yield from self._leaf(f"{path} > children", *children)

    def _lists(self, path: str, expected: list[object], got: list[object]) -> Iterator[Difference]:
        lasting = self._lasting(path)
        if f"{lasting}{ANY}" in self.unstable:
            return
        if expected == got and repr(expected) == repr(got):
            return
        inside = f"{lasting}[*]"
        mine = [self._key(inside, value) for value in expected]
        its = [self._key(inside, value) for value in got]
        if mine == its:
            return
        if Counter(mine) == Counter(its):
            if f"{lasting}{ORDER}" in self.unstable:
                return
            if self.learned is not None:
                self.learned.add(f"{lasting}{ORDER}")
            at = next(
                n for n, (one, other) in enumerate(zip(mine, its, strict=True)) if one != other
            )
            yield Difference(
                f"{path} (order)", f"[{at}] {spelled(expected[at])}", f"[{at}] {spelled(got[at])}"
            )
            return
        if len(expected) != len(got):
            if self.learned is not None:
                self.learned.add(f"{lasting}{ANY}")
            yield Difference(path, f"{len(expected)} elements", f"{len(got)} elements")
            yield from self._moved(path, (expected, mine), (got, its))
            return
        if f"{lasting}{ORDER}" in self.unstable:
            yield from self._moved(path, (expected, mine), (got, its))
            return
        for number, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from self._values(f"{path}[{number}]", one, other)

    def _moved(
        self,
        path: str,
        expected: tuple[list[object], list[str]],
        got: tuple[list[object], list[str]],
    ) -> Iterator[Difference]:
        """Yield the elements that only one of two lists has."""
        for (values, keys), other, ours in ((expected, got, True), (got, expected, False)):
            left = Counter(keys) - Counter(other[1])
            for number, (value, key) in enumerate(zip(values, keys, strict=True)):
                if left[key] > 0:
                    left[key] -= 1
                    pair = (spelled(value), ABSENT) if ours else (ABSENT, spelled(value))
                    yield Difference(f"{path}[{number}]", *pair)

    def _leaf(self, path: str, expected: object, got: object) -> Iterator[Difference]:
        if expected is not _MISSING and got is not _MISSING and _same(expected, got):
            return
        lasting = self._lasting(path)
        if self.learned is not None:
            self.learned.add(lasting + _holding(expected, got))
        if not self._held(lasting, expected, got):
            return
        yield Difference(path, spelled(expected), spelled(got))

    def _held(self, lasting: str, expected: object, got: object) -> bool:
        """Return whether two values that are not equal break what holds at a path."""
        if lasting in NEVER_EXCUSED:
            return True
        if f"{lasting}{ANY}" in self.unstable:
            return False
        if expected is _MISSING or got is _MISSING:
            return True
        if f"{lasting}{TYPE}" in self.unstable:
            return type_of(expected) != type_of(got)
        return lasting not in self.unstable or pattern_of(expected) != pattern_of(got)

    def _lasting(self, path: str) -> str:
        return _INDEX.sub("[*]", path)

    def _key(self, inside: str, value: object) -> str:
        """Return a text that is equal for values that are, as far as they need hold."""
        if f"{inside}{ANY}" in self.unstable:
            return "any"
        if isinstance(value, dict):
            parts = (
                f"{key!r}:{self._key(inside + _step(key), value[key])}"
                for key in sorted(value, key=str)
                if f"{inside}{_step(key)}{ANY}" not in self.unstable
            )
            return f"{{{','.join(parts)}}}"
        if isinstance(value, list):
            keys = [self._key(f"{inside}[*]", one) for one in value]
            if f"{inside}{ORDER}" in self.unstable:
                keys.sort()
            return f"[{','.join(keys)}]"
        if inside in self.unstable:
            return pattern_of(value)
        if f"{inside}{TYPE}" in self.unstable:
            return type_of(value)
        return f"{type_of(value)} {value!r}"


def _holding(first: object, second: object) -> str:
    """Return the ending of a path that says what two runs of the same code had in common."""
    if first is _MISSING or second is _MISSING or type_of(first) != type_of(second):
        return ANY
    return "" if pattern_of(first) == pattern_of(second) else TYPE


def _same(first: object, second: object) -> bool:
    """Return whether two values are equal with their types; NaN equals itself, 0.0 not -0.0."""
    return type_of(first) == type_of(second) and repr(first) == repr(second)


def _step(key: object) -> str:
    text = str(key)
    return f".{text}" if text.isidentifier() or "-" in text else f"[{json.dumps(text)}]"


def _effects(answer: Answer) -> dict[str, object]:
    return dict(_grouped(answer.effects))


def _headers(answer: Answer, empty: bool) -> dict[str, object]:  # noqa: FBT001 - one of two
    """Return headers by lower-case name, cookies each by its own.

    The length of a body says nothing that the body does not; without one it is all there is.
    """
    found: dict[str, object] = {}
    plain = []
    for name, value in answer.headers:
        lower = name.lower()
        if lower == "set-cookie":
            found |= _cookie(value)
        elif lower not in TRANSPORT_HEADERS and (lower != "content-length" or empty):
            plain.append((lower, value))
    return dict(_grouped(plain)) | found


def _cookie(value: str) -> dict[str, object]:
    try:
        cookies = SimpleCookie(value)
    except CookieError:
        return {"set-cookie": value}
    return {
        f"set-cookie {name}": {
            "value": morsel.value,
            **{key: f"{kept}" for key, kept in morsel.items() if kept},
        }
        for name, morsel in cookies.items()
    } or {"set-cookie": value}


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else list(values) for name, values in found.items()}
