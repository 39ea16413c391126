"""The scenarios of the detection benchmark that run with every test, and how they are judged."""
