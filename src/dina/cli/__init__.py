"""The command `dina`: it reads arguments, calls the package, prints results, and words errors in one sentence."""

from dina.cli.app import main

__all__ = ["main"]
