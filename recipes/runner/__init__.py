"""The spine of every recipe: its fields, its units, the batches that make them, and the run."""
