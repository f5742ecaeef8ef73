"""Random bits are those of `numpy.random.Philox`, whatever the key, the counter and the count."""

import numpy as np
import pytest

from tests.kernels.devices import download, reference, sizes
from tinynet.backends.opencl.philox import random_bits

KEYS = [0, 5, 2**64 - 1, 2**128 - 1]
COUNTERS = [0, 9, 2**64 - 3, 2**128 - 1, 2**192 - 2, 2**256 - 3]  # the carry goes up, and around


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("key", KEYS)
def test_keys_and_counters(device, key, counter, width):
    check(device, key, counter, 21, width)


@pytest.mark.parametrize("width", [32, 64])
def test_counts(device, width):
    for count in sizes(device, [0, 1, 2, 3, 4, 5, 7, 8, 9, 260, 1001], [100_003]):
        check(device, 12345, 678, count, width)


def check(device, key, counter, count, width):
    found = random_bits(device, key, counter, count, width)
    expected = reference.random_bits(key, counter, count, width)
    bits = download(device, found, count, np.dtype(f"uint{width}"))
    np.testing.assert_array_equal(bits, expected)
