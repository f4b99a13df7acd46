"""Learning directions of a layer from a folder of pictures."""
