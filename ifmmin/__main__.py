"""`python -m ifmmin` is the command `ifmmin`."""

from ifmmin.cli.main import main

main()
