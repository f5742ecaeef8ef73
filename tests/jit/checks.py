"""What tests of recorded functions check."""

import tinynet as tn


def assert_seen(function, change):
    """Check that a recorded function does as it does itself, before and after a change."""
    recorded, x = tn.jit(function), tn.ones(2)
    for _ in range(4):
        assert recorded(x).tolist() == function(x).tolist()
    assert recorded.count == 1
    before = function(x).tolist()
    change()
    assert function(x).tolist() != before
    for _ in range(3):
        assert recorded(x).tolist() == function(x).tolist()
