"""`python -m service.cli` is `tact`."""

from service.cli import main

main()
