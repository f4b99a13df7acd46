"""A user's pictures: read, gathered in sets, and measured."""
