"""What ``python -m queryscope`` runs: the same as the command ``queryscope``."""

from __future__ import annotations

import sys

from queryscope.cli.main import main

sys.exit(main())
