"""Calls back when a module is imported, and installs the hooks of ORMs as they come in."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Callback = Callable[[], None]


class _Finder:
    """Stands first in ``sys.meta_path`` while somebody waits for a module."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Callback]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with a loader that tells when it is done."""
        if name not in self.waiting:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # has what it needs of one
                return spec
        return None


class _Loader:
    """A module's own loader, but for the moment after its code has run."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module never sees us: inspect, pkgutil and pickle read these two.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        for call in _finder.waiting.pop(module.__name__, ()):
            call()
        if not _finder.waiting:
            _leave()


_finder = _Finder()


def _leave() -> None:
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def when_imported(name: str, call: Callback) -> None:
    """Call back once, when a module has been imported; at once if it is there already.

    Args:
        name: Full name of the module.
        call: Runs in the importing thread, between the module's code and the importer's next
            line. What it raises goes to the importer: it has to guard itself.
    """
    if name in sys.modules:
        call()
        return
    _finder.waiting.setdefault(name, []).append(call)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(name: str, call: Callback) -> None:
    """Take back a ``when_imported`` that has not come true; no error if it has."""
    calls = _finder.waiting.get(name, [])
    if call in calls:
        calls.remove(call)
    if not calls:
        _finder.waiting.pop(name, None)
    if not _finder.waiting:
        _leave()


class _Setup:
    """Stands around ``Apps.populate`` while somebody waits for Django to be set up.

    One for all who wait: a wrapper of each around the others' could not be taken out again in any
    order.
    """

    def __init__(self) -> None:
        self.waiting: list[Callback] = []
        self._take_back: Callback | None = None

    def wait(self, call: Callback) -> None:
        """Call back once when Django is set up, at once if it is."""
        registry = sys.modules["django.apps.registry"]
        apps_class, apps = registry.Apps, registry.apps
        if apps.ready:
            call()
            return
        self.waiting.append(call)
        if self._take_back is None:
            self._stand_around(apps_class, apps)

    def forget(self, call: Callback) -> None:
        """Take back a ``wait`` that has not come true; no error if it has."""
        if call in self.waiting:
            self.waiting.remove(call)
        if not self.waiting:
            self._leave()

    def _leave(self) -> None:
        take_back, self._take_back = self._take_back, None
        if take_back is not None:
            take_back()

    def _stand_around(self, apps_class: Any, apps: Any) -> None:
        original = apps_class.populate

        @wraps(original)
        def populate(self_: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self_, *args, **kwargs)
            if self_ is apps and apps.ready and self._take_back is take_back:
                self._leave()
                calls, self.waiting = self.waiting, []
                for call in calls:
                    call()
            return result

        def take_back() -> None:
            # Who wrapped ours since then must not lose his: ours only calls the original now.
            if apps_class.populate is populate:
                apps_class.populate = original

        apps_class.populate = populate
        self._take_back = take_back


_setup = _Setup()


class OrmWatch:
    """Installs the hooks of SQLAlchemy and Django, now or as soon as they can be used.

    Args:
        then: Called after each installation.
        report: Told why hooks could not be installed, such as a version that is too old.
    """

    def __init__(
        self, then: Callback | None = None, report: Callable[[str], None] | None = None
    ) -> None:
        """Prepare; nothing is watched before ``begin``."""
        self._then = then
        self._report = report

    def begin(self) -> None:
        """Install what is there and wait for what is not."""
        when_imported("sqlalchemy", self._install)
        when_imported("django.apps.registry", self._django_found)

    def end(self) -> None:
        """Wait no longer; what is installed stays."""
        forget("sqlalchemy", self._install)
        forget("django.apps.registry", self._django_found)
        _setup.forget(self._install)

    def _django_found(self) -> None:
        """Wait until Django is set up: before that its models must not be imported."""
        _setup.wait(self._install)

    def _install(self) -> None:
        # Imported here: who only waits for an ORM needs nothing of the core.
        from queryscope import adapters
        from queryscope.errors import QueryscopeError
        from queryscope.trace import guard

        try:
            adapters.install_loaded()
            if self._then is not None:
                self._then()
        except Exception as error:  # noqa: BLE001 - an import must not fail for our sake
            guard.caught(error, "install")
            if self._report is not None:
                text = str(error)
                named = isinstance(error, QueryscopeError)
                self._report(text if named else f"{type(error).__name__}: {text}")
