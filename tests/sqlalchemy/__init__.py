"""Tests of the SQLAlchemy adapter, on real engines."""
