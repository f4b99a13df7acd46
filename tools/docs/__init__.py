"""The documentation site: what mkdocs does not know by itself. `mkdocs.yml` has the settings, and calls `hooks`."""
