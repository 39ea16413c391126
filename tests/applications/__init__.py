"""Real applications: the oracle, and what its page says."""
