"""What a database says of a statement: its plan, the schema, and an index tried on a copy."""
