"""CRAFT: the concepts of a class, found in its photographs (Fel et al. 2023)."""
