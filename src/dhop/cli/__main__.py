"""``python -m dhop.cli``."""

from dhop.cli import main

main()
