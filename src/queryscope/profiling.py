"""Blocks that the user names: ``profile`` makes a Trace of its own, ``stage`` a part of one."""

from __future__ import annotations

import inspect
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from queryscope import adapters, runtime
from queryscope.errors import QueryscopeError
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE, active
from queryscope.trace.stage import StageBlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Judged
    from queryscope.trace.events import Trace, TraceKind
    from queryscope.trace.recorder import Recorder

P = ParamSpec("P")
R = TypeVar("R")


class Run:
    """What ``with profile(...) as run`` gives: the Trace and its findings, after the block."""

    def __init__(self, name: str) -> None:
        """Name the block."""
        self.name = name
        self._finished: runtime.Finished | None = None

    @property
    def trace(self) -> Trace:
        """The block's Trace, nested ones included.

        Raises:
            QueryscopeError: The block has not ended.
        """
        return self._judged().trace

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of the block's Trace and of every Trace nested in it.

        Raises:
            QueryscopeError: The block has not ended.
        """
        return self._judged().findings

    def _judged(self) -> Judged:
        if self._finished is None:
            raise QueryscopeError(
                f"profile({self.name!r}) has not ended: read run.trace and run.findings "
                "after the with block."
            )
        return self._finished.judged


class profile:  # noqa: N801 - reads as a verb: with profile("nightly export")
    """Record a block or a function as a Trace of its own.

    Works as ``with``, ``async with`` and as a decorator of functions, coroutine functions and
    generators' callers. Installs the hooks of the frameworks that are already imported.

    Args:
        name: What the Trace is called; a decorated function's name if left out.
        kind: What the unit of work is.

    Example:
        >>> with profile("nightly export") as run:
        ...     pass
        >>> run.trace.statements
        0
    """

    def __new__(cls, name: Any = "", *, kind: TraceKind = "block") -> Any:
        """Under a bare ``@profile``, return the decorated function: methods must stay methods."""
        if callable(name):
            return cls(kind=kind)(name)
        return super().__new__(cls)

    def __init__(self, name: str | Callable[..., Any] = "", *, kind: TraceKind = "block") -> None:
        """Prepare; nothing is recorded before the block is entered."""
        self._name = str(name)
        self._kind: TraceKind = kind
        self._entered: list[tuple[Recorder, Run, int]] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call is a Trace."""
        name = self._name or getattr(function, "__qualname__", type(function).__qualname__)
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with profile(name, kind=self._kind):
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value] # R is a coroutine here

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with profile(name, kind=self._kind):
                return function(*args, **kwargs)

        return run

    def __enter__(self) -> Run:
        """Start recording."""
        run = Run(self._name or "block")
        before = active()
        try:
            self._begin(run)
        except BaseException:
            # A signal handler may raise once the Recorder is open. Nobody would leave it: Python
            # calls no ``__exit__`` then.
            ACTIVE.set(before)
            raise
        return run

    def _begin(self, run: Run) -> None:
        try:
            found = runtime.get()
            if found.settings.enabled:
                adapters.install_loaded()
                recorder = found.recorder(self._kind, run.name)
                recorder.open()
                self._entered.append((recorder, run, get_ident()))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "profile")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the Trace and send it to the sinks."""
        entry = None
        try:
            entry = self._innermost()
            if entry is None:
                return
            recorder, run, _ = entry
            recorder.close(error)
            run._finished = runtime.get().finished(recorder)  # noqa: SLF001 - our own pair
        except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(failure, "profile")
        finally:
            # Wherever a signal handler raised in between: this thread goes on as it came.
            entry = entry or self._innermost()
            if entry is not None:
                entry[0].leave()
                self._entered.remove(entry)

    def _innermost(self) -> tuple[Recorder, Run, int] | None:
        """Return what this context entered last: threads and tasks may share one ``profile``."""
        scope = active()
        recorder = None if scope is None else scope.recorder
        while recorder is not None:
            for entry in reversed(self._entered):
                if entry[0] is recorder:
                    return entry
            recorder = recorder.outer
        # Left in another context than entered, as a generator does that is closed elsewhere.
        here = get_ident()
        return next((entry for entry in reversed(self._entered) if entry[2] == here), None)

    async def __aenter__(self) -> Run:
        """Start recording, in a coroutine."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the Trace, in a coroutine."""
        self.__exit__(kind, error, traceback)


class stage:  # noqa: N801 - reads as a verb: with stage("availability")
    """Name a part of the Trace under way; without one it does nothing.

    Works as ``with``, ``async with`` and as a decorator of functions and coroutine functions.

    Args:
        name: What the stage is called.

    Example:
        >>> with stage("availability"):
        ...     pass
    """

    def __init__(self, name: str) -> None:
        """Prepare; the stage begins on entry."""
        self._name = name
        self._blocks: list[StageBlock] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function: each call is a stage."""
        name = self._name
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with StageBlock(name, "named"):
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value] # R is a coroutine here

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with StageBlock(name, "named"):
                return function(*args, **kwargs)

        return run

    def __enter__(self) -> Self:
        """Begin the stage."""
        block = StageBlock(self._name, "named")
        self._blocks.append(block)
        block.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End the stage."""
        try:
            block = self._innermost()
        except BaseException:
            # A signal handler raised here: what follows belongs to no such stage.
            self._innermost().__exit__(*error)
            raise
        try:
            block.__exit__(*error)
        finally:
            self._blocks.remove(block)

    def _innermost(self) -> StageBlock:
        """Return what this context is in: threads and tasks may share one ``stage``."""
        here = active()
        blocks = self._blocks[::-1]
        for block in blocks:
            if block.place is here:
                return block
        return next((block for block in blocks if block.place is None), blocks[0])

    async def __aenter__(self) -> Self:
        """Begin the stage, in a coroutine."""
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        """End the stage, in a coroutine."""
        self.__exit__(*error)
