"""Run the command as ``python -m isthmus.cli``."""

import sys

from isthmus.cli import main

if __name__ == "__main__":  # doctest imports every module
    sys.exit(main())
