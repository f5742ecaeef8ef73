"""A fixture of all tests that compare with PyTorch."""

import pytest


@pytest.fixture(autouse=True)
def fixed_seed_of_pytorch():
    """PyTorch draws the same numbers in every run of a test too, whatever ran before it."""
    import torch

    torch.manual_seed(0)
