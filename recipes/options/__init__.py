"""Fields of recipes, and the parsers of what users write: names, indices, priors and targets."""
