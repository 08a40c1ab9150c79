"""``python -m dhop``."""

from dhop.cli import main

main()
