"""The small application on Django's ORM."""
