"""Tests under real servers: what a worker's life does to Traces, and Traces to its answers."""
