"""One suite of scenarios behind every adapter, worker and database: equal Traces, equal findings.

``python -m tests.contract_suite.write_golden`` writes the reference texts anew.
"""
