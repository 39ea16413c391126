"""The same facts from every driver, pool and kind of cursor."""
