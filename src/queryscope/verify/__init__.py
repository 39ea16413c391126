"""The judge: is a patch proved to change no answer and to lower the database's work?"""

from __future__ import annotations
