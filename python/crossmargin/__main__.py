"""`python -m crossmargin` is the command `crossmargin`."""

from crossmargin.cli import command

command()
