"""What jit promises holds on every device: a test runs once for each."""

import pytest


@pytest.fixture(autouse=True)
def on_every_device(on_device):
    """Tensors made without `device=` are on the device."""
