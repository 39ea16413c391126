"""What the workers run, as users have it: each is started in this folder."""
