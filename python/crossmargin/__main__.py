"""`python -m crossmargin` is the command `crossmargin`."""

from crossmargin_command import command

command()
