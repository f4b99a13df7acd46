"""The evidence for and against each picture of a unit: how far to trust what it shows (docs/evidence.md)."""
