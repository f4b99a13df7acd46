"""Localization: boxes and masks from heat maps, and annotated boxes from files."""
