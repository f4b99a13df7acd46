"""Activation atlases: a map of what a layer responds to in a set of pictures (Carter et al. 2019)."""
