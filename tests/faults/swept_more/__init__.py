"""Scenarios for the hooks that those of the contract suite do not pass."""
