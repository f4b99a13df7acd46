"""Image statistics of a folder of pictures, for priors."""
