"""`inverter explain` and `inverter judge-maps`: attribution heat maps of input images, and their evaluation."""
