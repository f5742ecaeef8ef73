"""Tests of operations run on every device."""

import pytest


@pytest.fixture(autouse=True)
def every_device(on_device):
    """Tensors are made on one device after the other."""
