"""What counts as a credential, by its name: its value stands in no file of ours."""

from __future__ import annotations

import re

MASK = "<from the actor>"
"""Stands in a file where a credential stood; a replay takes the actor's."""
MASKED = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-csrftoken"}
)
"""Headers whose values never reach a file, in lower case."""
_WORDS = re.compile(
    r"pass(word|wd|phrase|code)|secret|token|api[-_]?key|credential|csrf|xsrf|session|signature"
    r"|\botp\b|(^|[-_])o?auth([-_\d]|\Z)|authoriz|card[-_]?(no|number)|\bcv[vc]2?\b|\bpin\b",
    re.IGNORECASE,
)


def is_credential(name: str) -> bool:
    """Tell whether a header, a parameter, a field or a key of this name holds a credential."""
    return name.lower() in MASKED or _WORDS.search(name) is not None
