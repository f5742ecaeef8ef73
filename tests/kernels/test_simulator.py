"""The simulator does report what it is there for."""

import numpy as np
import pytest

from tests.kernels.devices import is_simulator

FAULTS = {
    "races": ("x[0] = get_global_id(0);", "data race"),
    "bounds": ("x[1000000 + get_global_id(0)] = 1;", "Invalid write"),
    "uninitialised": ("if (x[get_global_id(0)] > 2) x[get_global_id(0)] = 1;", "uninitialized"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_reported(device, reports, fault):
    if not is_simulator(device):
        pytest.skip("only the simulator looks for faults: TINYNET_KERNEL_PLATFORM=Oclgrind")
    line, words = FAULTS[fault]
    kernel = device.build(f"__kernel void {fault}(__global int *x) {{ {line} }}", fault, (None,))
    memory = device.pool.allocate(4 * 64)
    device.launch(kernel, (64,), (1,), memory.buffer)
    report = reports.take(device)
    assert words in report
    assert f"Kernel: {fault}" in report


def test_no_fault_no_report(device, reports):
    text = "__kernel void writes(__global int *x) { x[get_global_id(0)] = 1; }"
    memory = device.pool.allocate(4 * 64)
    device.launch(device.build(text, "writes", (None,)), (64,), (64,), memory.buffer)
    result = np.empty(64, np.int32)
    device.read(memory.buffer, result)
    assert result.tolist() == [1] * 64
    assert reports.take(device) == ""
