"""For `.ci/run`: of each test, coverage watches the first cases, then every sixteenth.

Watching doubles the time that Python code takes, and what a test's other cases reach, these nearly
always reach too. Used as `python -m pytest -p tests.tracing --cov=tinynet`.
"""

import sys
from collections import Counter

import pytest

CASES, EVERY = 8, 16  # of a test, in each process

_seen = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Run a test unwatched once enough of its cases were seen."""
    test = item.nodeid.partition("[")[0]
    _seen[test] += 1
    watch = sys.gettrace()
    if _seen[test] > CASES and _seen[test] % EVERY:
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(watch)
