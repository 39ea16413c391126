"""What real servers serve: this folder stands on their path, its modules by their own names."""
