"""The small application on SQLAlchemy's ORM."""
