"""Tests of the standard library's threads and pools."""
