"""The command line."""

from recipes.executors.threads import wait_passively

wait_passively()  # before anything imports torch, whose threads read it

from recipes.cli.entry import main  # noqa: E402

__all__ = ["main"]
