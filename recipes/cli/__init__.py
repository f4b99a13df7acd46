"""The command line."""

from recipes.cli.entry import main

__all__ = ["main"]
