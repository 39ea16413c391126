"""The application: models and views."""
