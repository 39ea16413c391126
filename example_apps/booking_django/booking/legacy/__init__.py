"""The endpoints as they grew over the years."""
