"""Where a command learns what models promise of their tables: modules that it is told to import."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.errors import SettingsError
from queryscope.plans.study import ANY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from queryscope.plans.declared import Model

DJANGO = "django"
"""In place of a module: the applications of ``DJANGO_SETTINGS_MODULE``."""


def add_models(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says where models are."""
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="MODULE",
        help="with --plans: compare the models of this module with the database; may stand several "
        f"times, and {DJANGO} is for those of DJANGO_SETTINGS_MODULE",
    )


def models_of(options: argparse.Namespace) -> Mapping[str, Sequence[Model]]:
    """Return the models that were asked for, by alias; ``ANY`` for those without one.

    Raises:
        SettingsError: A module cannot be imported, or Django cannot be set up.
    """
    if not options.models:
        return {}
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` has it; a console script has not
    for name in options.models:
        try:
            if name == DJANGO:
                _set_django_up()
            else:
                import_module(name)
        except SettingsError:
            raise
        except Exception as error:
            raise SettingsError(
                f"--models {name} cannot be imported: {type(error).__name__}: {error}"
            ) from error
    return known_models()


def known_models() -> Mapping[str, Sequence[Model]]:
    """Return the models that this process has imported, by Django's alias or ``ANY``."""
    found: dict[str, Sequence[Model]] = {}
    registry = sys.modules.get("django.apps")
    if registry is not None and registry.apps.models_ready:
        found.update(import_module("queryscope.django.declared").declared())
    if "sqlalchemy.orm" in sys.modules:
        found[ANY] = import_module("queryscope.sqlalchemy.declared").declared()
    return found


def _set_django_up() -> None:
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise SettingsError(f"--models {DJANGO} needs DJANGO_SETTINGS_MODULE in the environment.")
    import_module("django").setup()
