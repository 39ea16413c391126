"""The booking platform: places, what can be booked in them, and who booked it."""
