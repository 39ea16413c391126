"""What the tests of detectors on real Django code share: a library of six books, and templates."""

from __future__ import annotations

from django.template import engines

from tests.django.conftest import make_books
from tests.django.recorded import hooked, recorded

recording = hooked


def run(function, recording):
    """Return the Trace of a function, called on six books with every relation filled."""
    make_books()
    with recorded(recording) as result:
        function()
    return result.trace


def render(text, **context):
    """Render a Django template made from a string."""
    return engines["django"].from_string(text).render(context)
