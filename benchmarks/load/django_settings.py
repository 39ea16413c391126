"""The settings of the Django example, with queryscope's from the environment."""

from __future__ import annotations

import json
import os

from site_config.settings import *  # noqa: F403 - the example's own, whatever they are

QUERYSCOPE = json.loads(os.environ.get("LOAD_SETTINGS", "{}"))
