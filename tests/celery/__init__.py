"""Celery: tasks that run eagerly, and workers of every pool."""
