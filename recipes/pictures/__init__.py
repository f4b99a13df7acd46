"""A user's pictures: reading them, sets of them, and their statistics."""
