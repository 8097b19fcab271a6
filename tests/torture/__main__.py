"""Strike so many times, or for so long; print what came of it, and return 1 where anything was lost."""

import sys

if __name__ == "__main__":  # what a command starts in its turn imports this file again, and is to lose no time
    from tests.torture.driver import main

    sys.exit(main())
