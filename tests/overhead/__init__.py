"""Guards of what recording costs."""
