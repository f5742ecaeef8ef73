"""The `onnx` package's own node tests: small models with inputs and outputs, by its modules."""

import importlib
import warnings
from functools import cache

import numpy as np

import tinynet as tn
from tinynet.errors import UnsupportedOperatorError
from tinynet.onnx import load

CASES = "onnx.backend.test.case.node"
# The reference rounds to bfloat16 after each step of a sum, we once: a step or two apart.
ROUNDING = {"bfloat16": 2**-6}


@cache
def cases_of(module):
    """The cases that one of the package's modules makes when it is imported."""
    node = importlib.import_module(CASES)
    before = len(node._NodeTestCases)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{CASES}.{module}")
    return node._NodeTestCases[before:]


def outcome(case, device):
    """ "passed", or why the case is not supported; raises AssertionError where results differ."""
    try:
        model = load(case.model, device)
        for inputs, outputs in case.data_sets:
            given = [tn.tensor(_array(x), device=device) for x in inputs]
            _check(case, model(*given), [_array(y) for y in outputs])
    except UnsupportedOperatorError as error:
        return str(error)
    return "passed"


def _array(value):
    from onnx import numpy_helper

    return numpy_helper.to_array(value) if hasattr(value, "data_type") else np.asarray(value)


def _check(case, results, expected):
    found = results if isinstance(results, tuple) else (results,)
    assert len(found) >= len(expected), case.name
    for y, z in zip(found, expected):
        y = y.numpy(force=True)
        assert (y.shape, y.dtype) == (z.shape, z.dtype), case.name
        rtol = max(case.rtol, ROUNDING.get(y.dtype.name, 0))
        if y.dtype.name == "bfloat16":
            y, z = y.astype(np.float32), z.astype(np.float32)
        np.testing.assert_allclose(y, z, rtol=rtol, atol=case.atol, err_msg=case.name)
