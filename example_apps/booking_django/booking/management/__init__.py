"""Management commands of the booking example."""
