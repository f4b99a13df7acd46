"""Directions of a layer: any set of features that a layer's activation vectors are read in."""
