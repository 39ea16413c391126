"""Tests of the documentation: its pages are followed, its links and generated parts checked."""
