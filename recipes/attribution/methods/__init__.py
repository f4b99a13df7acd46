"""The attribution methods, one family a module: pure functions registered by `recipes.attribution.method.method`."""
