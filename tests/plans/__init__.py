"""Plans and schemas, read from every database that there is."""
