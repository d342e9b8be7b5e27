"""`python -m voice …` is the tocsin command."""

import sys

from voice.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
