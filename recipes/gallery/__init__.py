"""Galleries: optimised pictures of units and classes, and the dataset patches that activate units most."""
