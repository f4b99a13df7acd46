"""Activations of a set of pictures: collection, reduction and ranking; and the class predictions of networks."""
