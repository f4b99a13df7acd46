"""One photo as a layer sees it: semantic dictionaries and activation grids (Olah et al. 2018)."""
