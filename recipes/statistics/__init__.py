"""Natural image statistics of one's own pictures, for priors."""
