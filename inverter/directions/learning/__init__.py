"""Learning directions from activation vectors: sparse autoencoders, components, and how good a set is."""
