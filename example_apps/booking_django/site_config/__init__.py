"""Settings and routes of the booking example."""
