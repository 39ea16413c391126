"""Tests of the ring, the file and the writer."""
