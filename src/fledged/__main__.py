"""`python -m fledged` is `fledged`."""

from fledged.cli import main

main()
