"""Functions of kernels/functions.cl: how far they are from the right value."""

import math

import numpy as np
import pytest

import tinynet as tn

SPECIAL = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    88.72283,
    88.73,
    -87.33654,
    -104.5,
    3.92,
    -9.01,
]
FUNCTIONS = {
    "exp": (np.exp, 2),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 4),
    "tanh": (np.tanh, 7),
    "erf": (np.vectorize(math.erf), 8),
}
MATHS = {  # their names in NumPy
    **{name: name for name in (
        "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh").split()},
    "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
}  # fmt: skip


def interpreted_and_compiled(backend, compute):
    """What a function returns in both ways."""
    compiler, plans = backend.scheduler.planner.compiler, backend.scheduler.plans
    found = []
    for patience in (12, 0):
        plans.clear()
        compiler.programs.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiler, "patience", patience)
            patch.setattr(compiler, "kernels", {})
            patch.setattr(backend.device, "is_built", lambda program: False)
            found.append(compute())
            are_cold = patience > 0 and backend.device.has_fp64
            assert {plan.cold is not None for plan in plans.values()} == {are_cold}
    plans.clear()
    return found


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint16", "int32"])
def test_floats_that_no_integer_is_become_the_same_interpreted_and_compiled(backend, name):
    if not backend.device.has_fp64:
        pytest.skip("the interpreter needs float64")
    x = tn.tensor([1e10, -1e10, math.nan, math.inf, -math.inf, -1.5, 70_000.7], device="opencl")
    found = interpreted_and_compiled(backend, lambda: x.to(getattr(tn, name)).tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [-3.0, -1.0, 0.0, 0.3, 1.0, 3.0])
def test_a_denormal_number_has_the_powers_of_zero(backend, dtype, exponent):
    """Or its own: some drivers compute with such numbers, others take them for 0."""
    if dtype == "float64" and not backend.device.has_fp64:
        pytest.skip("needs float64")
    tiny = float(np.finfo(dtype).tiny)
    x = np.array([tiny / 8, -tiny / 8, tiny * 1.5], dtype)
    with np.errstate(all="ignore"):
        own, of_zero = x**exponent, np.array([0.0, -0.0, x[2]]) ** exponent
    on_device = tn.tensor(x, device="opencl")
    for found in interpreted_and_compiled(backend, lambda: (on_device**exponent).tolist()):
        for y, wanted in zip(found, zip(own, of_zero, strict=True), strict=True):
            assert any(y == pytest.approx(z, rel=1e-5, abs=tiny, nan_ok=True) for z in wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles_of_points_near_and_far(backend, dtype):
    if dtype == "float64" and not backend.device.has_fp64:
        pytest.skip("needs float64")
    limits = np.finfo(dtype)
    sizes = limits.max / 2.0 ** np.array([0, 1, 2, 3, 5, 20])
    sizes = np.array([*sizes, *limits.tiny * 2.0 ** np.array([1, 20]), 0, 1, 3, np.inf], dtype)
    a, b = (part.ravel() for part in np.meshgrid([*sizes, *-sizes], [*sizes, *-sizes]))
    there = [tn.tensor(part, dtype=getattr(tn, dtype), device="opencl") for part in (a, b)]
    expected = np.arctan2(a, b)
    for found in interpreted_and_compiled(backend, lambda: tn.atan2(*there).cpu().numpy()):
        np.testing.assert_allclose(found, expected, rtol=4 * limits.eps, atol=4 * limits.tiny)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_to_a_few_units_in_the_last_place(compiled, name):
    function, most = FUNCTIONS[name]
    random = np.random.default_rng(0)
    parts = [random.uniform(-size, size, 20_000) for size in (1e-3, 1.0, 10.0, 100.0)]
    x = np.concatenate([*parts, SPECIAL]).astype(np.float32)
    y = getattr(tn.tensor(x, device="opencl"), name)().cpu().numpy()
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.float64))
        expected = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    is_normal = np.isfinite(expected) & (np.abs(expected) >= np.finfo(np.float32).tiny)
    units = np.abs(y[is_normal] - exact[is_normal]) / np.spacing(np.abs(expected[is_normal]))
    assert units.max() <= most
    rest = ~is_normal & ~np.isnan(x)
    np.testing.assert_allclose(y[rest], expected[rest], rtol=0, atol=np.finfo(np.float32).tiny)
    if name in ("tanh", "erf"):
        largest = np.abs(y[~np.isnan(y)]).max()
        assert largest == 1 if compiled.device.is_cpu else largest <= 1  # the device's own function
    assert np.signbit(y[list(x).index(-0.0) + 1]) == (name in ("tanh", "erf"))


@pytest.mark.parametrize("neighbour", [1.0, 1e30, -1e30, math.inf, math.nan, 1e-39, 1e9], ids=str)
@pytest.mark.parametrize("name", MATHS)
def test_neighbours_make_no_difference(compiled, name, neighbour):
    """Drivers compute whole vectors, and then take the way that one of their numbers needs."""
    sizes = 10.0 ** np.linspace(-37, 38, 400)
    near = np.linspace(0.001, 20, 400)
    x = np.concatenate([sizes, -sizes, near, -near, [0.0, -0.0]]).astype(np.float32)
    mixed = np.full((len(x), 8), neighbour, np.float32)
    mixed[:, 0] = x
    y = getattr(tn.tensor(mixed, device="opencl"), name)().cpu().numpy()[:, 0]
    with np.errstate(all="ignore"):
        expected = getattr(np, MATHS[name])(x.astype(np.float64)).astype(np.float32)
    tiny = np.finfo(np.float32).tiny
    np.testing.assert_allclose(y, expected, rtol=3e-6, atol=2 * tiny)
