"""Readers of sets of directions that other libraries wrote: a file for each of their forms."""
