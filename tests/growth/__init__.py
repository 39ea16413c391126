"""Laws of growth, from counts alone and from runs."""
