"""`python -m leftfold`: the command line."""

from leftfold.cli import main

main()
