"""The viewer's pages that ask for more than a Trace holds."""
