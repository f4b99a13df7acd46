"""Circuits: what of one layer drives the units of the next, and what a unit of several things is made of."""
