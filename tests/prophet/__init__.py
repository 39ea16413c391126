"""Tests of what recorded holding times say about a pool under load."""
