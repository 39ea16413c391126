"""The table of code objects: which frame is the user's, a library's, a template's or ours.

The walk from a statement outwards asks this table once per frame, so it is one dict keyed by
``id(code)``. Keying by the code OBJECT costs ten times as much and is wrong: equal code in two
files compares equal. The table keeps every code object alive, so that an id never means two.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from itertools import islice
from types import CodeType
from typing import TYPE_CHECKING, Any, Protocol

from queryscope.trace.events import Frame, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType


MAX_CODES = 50_000
"""Code objects kept in one table. Templates made from strings and ``exec`` make new ones for
ever, so a full table is replaced; Recorders under way keep theirs."""

LIBRARY, USER, BOUNDARY, NODE, JINJA, HANDED = 0, 1, 2, 3, 4, 5
"""What a frame can be. At a boundary the walk ends; code that was HANDED here by another thread or
task runs in a function of that kind, and the walk goes on with who waits for it."""
NODE_STEP = -1
"""In a chain of (id, instruction) pairs, the instruction of a Django template node."""

_LIBRARY_FOLDERS = ("/site-packages/", "/dist-packages/")
_STDLIB = tuple(
    {sysconfig.get_path(name).replace("\\", "/") + "/" for name in ("stdlib", "platstdlib")}
)


RawLabel = tuple[Any, ...]
"""``(static, parent, parents, parent_uid)`` with static = ``(operation, model, relation, owner,
attribute, narrowed, batched, created)``; models are strings or classes, ``created`` a number
of ``creation_site``. The static part is interned."""


class LabelSource(Protocol):
    """A known ORM function whose frame says what a statement was for.

    A source may have a method ``follow(label, *, full) -> Reader | None`` beside ``read``. It is
    asked once, when a statement came a new way, for what reads the labels of the statements that
    come the same way afterwards: with the same text, from the same instructions. None says that
    they have this very label. A source with ``made = False`` never says where a statement was made.
    """

    final: bool
    """Frames further out do not overrule it: a prefetch inside an evaluation stays a prefetch."""

    def read(self, frame: FrameType) -> RawLabel | None:
        """Return the label that the locals of ``frame`` tell, without running user code."""


Kind = int | LabelSource
Reader = Callable[["FrameType"], "RawLabel | None"]
"""Returns the label that the locals of a frame tell; None, or an error, when they have changed."""

_registered: dict[int, tuple[CodeType, Kind]] = {}
_user_packages: set[str] = set()
_library_packages: set[str] = set()


class CodeTable:
    """Kinds of code by ``id(code)``, and the frames that (code, instruction) pairs stand for."""

    __slots__ = ("codes", "files", "frames", "kinds", "templates")

    def __init__(self) -> None:
        """Start a table that knows the registered code objects only."""
        self.kinds: dict[int, Kind] = {}
        self.codes: dict[int, CodeType] = {}
        self.files: dict[int, tuple[str, str]] = {}
        self.templates: dict[int, Any] = {}
        self.frames: dict[tuple[int, int], Frame | TemplateNode] = {}
        for key, (code, kind) in list(_registered.items()):
            self.kinds[key] = kind
            self.codes[key] = code

    def classify(self, frame: FrameType, code: CodeType) -> Kind:
        """Find out and remember what kind of frame ``frame`` is."""
        if len(self.kinds) >= MAX_CODES:
            _replace(self)
            if len(self.kinds) >= 2 * MAX_CODES:
                return LIBRARY
        key = id(code)
        names = frame.f_globals
        module = names.get("__name__")
        file = names.get("__file__")
        if not isinstance(module, str):
            module = ""
        if not isinstance(file, str) or not file.endswith((".py", ".pyw")):
            file = code.co_filename
        if file.startswith("<") and module in sys.modules:
            # Made with exec by a library, such as a decorator: as good as written in its module.
            file = getattr(sys.modules[module], "__file__", None) or file
        kind: Kind = LIBRARY
        template = names.get("__jinja_template__")
        if template is not None:
            kind = JINJA
            self.templates[key] = template
        elif is_user(module, file):
            kind = USER
        self.codes[key] = code
        self.files[key] = (file, module)
        self.kinds[key] = kind
        return kind

    def resolve(self, key: int, instruction: int) -> Frame | TemplateNode | None:
        """Return the position in source that one step of a chain stands for."""
        found = self.frames.get((key, instruction))
        if found is None:
            code = self.codes.get(key)
            if code is None:
                return None
            if self.kinds.get(key) == JINJA:
                found = _jinja_node(self.templates[key], code, instruction)
            else:
                found = _frame(code, instruction, *self.files.get(key, (code.co_filename, "")))
            self.frames[key, instruction] = found
        return found


def _position(code: CodeType, instruction: int) -> tuple[int, int, int, int]:
    """Return (line, end line, column, end column) of an instruction; columns are UTF-8 bytes."""
    for line, end_line, column, end_column in islice(
        code.co_positions(), max(instruction, 0) // 2, None
    ):
        first = line or code.co_firstlineno
        return first, end_line or first, column or 0, end_column or 0
    return code.co_firstlineno, code.co_firstlineno, 0, 0


def _frame(code: CodeType, instruction: int, file: str, module: str) -> Frame:
    return Frame(file, *_position(code, instruction), code.co_qualname, module)


def _jinja_node(template: Any, code: CodeType, instruction: int) -> TemplateNode:
    line = template.get_corresponding_lineno(_position(code, instruction)[0])
    name = template.name or "<template>"
    return TemplateNode(name, template.filename or None, line, "", "jinja2")


def django_node(node: Any) -> TemplateNode | None:
    """Return the position of a node of a Django template, None where it does not say."""
    token = getattr(node, "token", None)
    origin = getattr(node, "origin", None)
    if token is None:
        return None
    name = str(
        getattr(origin, "template_name", None) or getattr(origin, "name", "") or "<template>"
    )
    file = getattr(origin, "name", None)
    if not isinstance(file, str) or file.startswith("<"):
        file = None
    return TemplateNode(name, file, int(token.lineno or 0), str(token.contents)[:200], "django")


def is_user(module: str, file: str) -> bool:
    """Tell whether a frame is the user's: by module name first, by path second."""
    top = module.partition(".")[0]
    if top in _user_packages:
        return True
    if top in _library_packages or top == "queryscope":
        return False
    path = file.replace("\\", "/")
    for folder in _LIBRARY_FOLDERS:
        _, found, inside = path.rpartition(folder)
        if found:
            # A template has no module: the folder is the package.
            return not module and inside.partition("/")[0] in _user_packages
    return not path.startswith(("<frozen", *_STDLIB))


def is_own(step: Frame | TemplateNode) -> bool:
    """Tell whether a step is the user's to edit: not a tag of a library's template."""
    return isinstance(step, Frame) or step.file is None or is_user("", step.file)


_current = CodeTable()


def current() -> CodeTable:
    """Return the table in use; a Recorder keeps the one it started with."""
    return _current


def _replace(full: CodeTable) -> None:
    global _current
    if _current is full:
        _current = CodeTable()


def _code_of(function: Callable[..., Any] | CodeType) -> CodeType:
    if isinstance(function, CodeType):
        return function
    code: CodeType = function.__code__
    return code


def register(function: Callable[..., Any] | CodeType, kind: Kind) -> None:
    """Say what the frames of a function, or of a code object, mean. Until ``unregister``."""
    code = _code_of(function)
    _registered[id(code)] = (code, kind)
    _current.kinds[id(code)] = kind
    _current.codes[id(code)] = code


def unregister(functions: Iterable[Callable[..., Any] | CodeType]) -> None:
    """Forget what the frames of ``functions`` mean; they count as library frames again."""
    for function in functions:
        code = _code_of(function)
        _registered.pop(id(code), None)
        _current.kinds.pop(id(code), None)


def set_packages(*, user: Iterable[str], library: Iterable[str]) -> None:
    """Add top-level packages that are the user's, or a library's, wherever they lie."""
    before = len(_user_packages) + len(_library_packages)
    _user_packages.update(user)
    _library_packages.update(library)
    if len(_user_packages) + len(_library_packages) != before:
        _forget_kinds()


def forget_packages() -> None:
    """Forget what ``set_packages`` was told."""
    _user_packages.clear()
    _library_packages.clear()
    _forget_kinds()


def _forget_kinds() -> None:
    """Let code be classified anew, in the table that Recorders under way hold, too."""
    for key in list(_current.kinds):
        if key not in _registered:
            _current.kinds.pop(key, None)


def creation_site(frame: FrameType | None) -> int:
    """Return a number for the nearest user position from ``frame`` outwards, 0 for none.

    The number stays valid for the life of the process: it may be kept on a queryset that is
    pickled, copied or made at import time. ``position_of`` gives the position back.
    """
    table = _current
    kinds = table.kinds
    while frame is not None:
        code = frame.f_code
        kind = kinds.get(id(code))
        if kind is None:
            kind = table.classify(frame, code)
        if kind == USER:
            key = (id(code), frame.f_lasti)
            number = _creations.get(key)
            if number is None:
                if len(_creations) >= MAX_CODES:
                    return 0
                _creation_tables.append((table, key))
                number = _creations[key] = _SALT + len(_creation_tables)
            return number
        if kind == BOUNDARY:
            return 0
        frame = frame.f_back
    return 0


# A number in a queryset that another process pickled must not name a position here.
_SALT = int.from_bytes(os.urandom(4), "big") << 20
_creations: dict[tuple[int, int], int] = {}
_creation_tables: list[tuple[CodeTable, tuple[int, int]]] = []


def position_of(number: int) -> Frame | None:
    """Return the position that ``creation_site`` numbered, or None for an unknown number."""
    index = number - _SALT - 1
    if not 0 <= index < len(_creation_tables):
        return None
    table, key = _creation_tables[index]
    found = table.resolve(*key)
    return found if isinstance(found, Frame) else None


def current_frame(depth: int = 1) -> FrameType:
    """Return the frame ``depth`` calls above the caller."""
    return sys._getframe(depth + 1)
