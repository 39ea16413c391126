"""Servers under load, bare and recorded side by side."""
