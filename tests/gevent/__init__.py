"""Tests of gevent, all in child processes: monkey patching must not reach the others."""
