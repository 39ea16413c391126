"""The parts of a report as frozen values without markup, and how each is read off a Trace."""
