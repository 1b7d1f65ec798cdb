"""Lets `python -m dina.cli` be the command `dina`, where the script is not on the path."""

from dina.cli.app import main

main()
