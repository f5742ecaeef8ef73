"""The conformance suite asks for `backend`: one after the other, every backend there is."""

import pytest

from tinynet.backends import open_backend


@pytest.fixture
def backend(device):
    return open_backend(device)
