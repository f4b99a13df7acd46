"""`inverter explain` and `inverter judge-maps`: heat maps over given pictures, and how true they are."""
