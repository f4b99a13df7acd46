"""Activations of a set of pictures: collected, reduced, ranked, and what networks predict for pictures."""
