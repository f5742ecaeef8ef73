"""`python -m benchmarks` in the sources is `python -m tinynet.benchmarks`."""

import sys

from tinynet.benchmarks.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
