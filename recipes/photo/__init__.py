"""A layer's activations for one photo, as pictures: semantic dictionaries and activation grids (Olah et al. 2018)."""
