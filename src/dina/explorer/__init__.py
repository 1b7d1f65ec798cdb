"""The explorer of a run: single images and single neurons, chosen by hand, in one page with a script or served on this machine."""

from dina.explorer.page import write_explorer

__all__ = ["write_explorer"]
