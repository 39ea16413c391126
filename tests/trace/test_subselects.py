"""The SELECTs within a SELECT, as Django and SQLAlchemy write them."""

from __future__ import annotations

import pytest

from queryscope.trace.subselects import subselects_of


@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        ("SELECT a FROM t", []),
        ("SELECT a FROM t WHERE b IN (1, 2)", []),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u)", ["in"]),
        ("SELECT a FROM t WHERE NOT (t.b IN ((SELECT c FROM u)))", ["in"]),
        ("SELECT a FROM t WHERE EXISTS(SELECT 1 AS a FROM u WHERE u.t = t.a LIMIT 1)", ["exists"]),
        ("SELECT a FROM t WHERE b = (SELECT MAX(c) FROM u)", ["value"]),
        ("SELECT a, (SELECT COUNT(*) FROM u WHERE u.t = t.a) AS n FROM t", ["value"]),
        ("SELECT a FROM t WHERE b > ALL (SELECT c FROM u)", ["compared"]),
        ("SELECT count(*) FROM (SELECT a FROM t) AS x", ["from"]),
        ("SELECT 1 FROM t, (SELECT a FROM t) AS x", ["from"]),
        ("SELECT COALESCE(a, (SELECT c FROM u)) FROM t", ["value"]),
        ("SELECT 1 FROM t JOIN LATERAL (SELECT c FROM u) AS x ON true", ["from"]),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d IN (SELECT e FROM v))", ["in", "in"]),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u UNION SELECT d FROM v)", []),
    ],
)
def test_subselect_has_its_role(statement, roles):
    """By what stands before its parenthesis."""
    assert [item.role for item in subselects_of(statement)] == roles


@pytest.mark.parametrize("role", ["b NOT IN", "NOT EXISTS"])
def test_negation_is_told(role):
    """It asks for something else."""
    (found,) = subselects_of(f"SELECT a FROM t WHERE {role} (SELECT c FROM u)")
    assert found.negated


def test_subselect_has_its_clauses_and_words():
    """Those of its own subselects count among the words."""
    (outer, inner) = subselects_of(
        "SELECT a FROM t WHERE b IN (SELECT DISTINCT c FROM u WHERE d = (SELECT MAX(e) FROM v) "
        "ORDER BY c)"
    )
    assert (outer.clauses.distinct, outer.clauses.order) == (True, ("c",))
    assert "MAX" in outer.words
    assert "DISTINCT" not in inner.words


def test_very_long_statement_is_not_read():
    """It is no use to keep it."""
    assert subselects_of(f"SELECT a FROM t WHERE b IN (SELECT {'c' * 20_000} FROM u)") == ()
