"""Values are computed here, each by the plan for its structure."""

from __future__ import annotations

import threading
from typing import Any

from tinynet.backends.opencl import interpreter, matmul
from tinynet.backends.opencl.array import Value, View
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.fusion import Graph, survey
from tinynet.backends.opencl.planner import Planner
from tinynet.backends.opencl.plans import First, Launch, Plan
from tinynet.backends.opencl.profiler import Making
from tinynet.backends.opencl.spec import GROUP
from tinynet.numbers import Number

MOST_PLANS = 4096
LARGEST_FLOAT = 3.4028235677973366e38  # halfway from the largest float to what would be the next


class Scheduler:
    """Computes values on one device; remembers the plans. Safe for several threads."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.planner = Planner(device)
        self.plans: dict[Any, Plan] = {}
        self.lock = threading.RLock()

    def compute(self, value: Value, target: View | None = None) -> None:
        """Have the elements of `value` in memory; with `target`, write them in that window."""
        with self.lock:
            todo = [value]  # each needs the next one first
            while todo:
                now, window = todo[-1], target if len(todo) == 1 else None
                first = self.step(now, window) if now.op != "memory" else None
                if first is not None:
                    todo.append(first)
                elif window is not None or now.op == "memory":
                    todo.pop()

    def step(self, value: Value, target: View | None) -> Value | None:
        """Compute `value`, or a part of it; or return what it needs first."""
        graph = survey(value)
        key = graph.key
        if target is not None:
            place = graph.place_of_offset(target.offset)
            key = (key, target.shape, target.strides, place)
        recorder = self.device.recorder
        is_recorded = recorder is not None and recorder.is_here()
        plan = None if is_recorded else self.plans.get(key)
        if is_recorded:  # what takes over whose memory is a matter of this recording
            plan = self.planner.plan(graph, target, recorder.may_donate)
        elif plan is None:
            if len(self.plans) >= MOST_PLANS:
                self.plans.clear()
            plan = self.plans[key] = self.planner.plan(graph, target)
        if plan.cold is not None:  # never while somebody records
            plan = self.planner.compiler.warmed(plan) or self.planner.plan(graph, target)
            self.plans[key] = plan
        if type(plan) is First:
            return graph.values[plan.place]
        assert type(plan) is Launch
        self.launch(plan, graph, target)
        return None

    def launch(self, plan: Launch, graph: Graph, target: View | None) -> None:
        """Launch a planned kernel and settle its results."""
        values = graph.values
        offsets = graph.offsets
        head: list[Any] = [values[i].block.buffer for i in plan.factors]  # type: ignore[union-attr]
        product = plan.product
        if product is not None:
            if plan.begins != (0, 0):
                product = product.moved(tuple([offsets[place] for place in plan.begins]))
            if product.packs:
                head, _scratch = matmul.pack(self.device, product, *head)
            head += product.scalars
        arguments = [values[i].block.buffer for i in plan.leaves]  # type: ignore[union-attr]
        blocks: list[Any] = []
        for item in plan.stored:
            if item.donor >= 0:
                blocks.append(values[item.donor].block)
                continue
            block = self.device.pool.allocate(item.nbytes) if target is None else target.value.block
            blocks.append(block)
            arguments.append(block.buffer)  # type: ignore[union-attr]
        numbers = [fitted(graph.numbers[i], ctype) for i, ctype in plan.numbers]
        if Number in map(type, numbers) and self.device.recorder is None:
            numbers = [x.value if type(x) is Number else x for x in numbers]
        device = self.device
        making = None
        if device.watch is not None or device.recorder is not None:
            making = self.making(plan, values, blocks, head)
        enqueued: list[Any] = []
        try:
            if plan.cold is not None:
                self.interpret(plan, arguments, numbers, offsets, making, enqueued)
            else:
                assert plan.kernel is not None
                device.launch(
                    plan.kernel, plan.size, plan.group, *head, *arguments, *numbers,
                    *plan.tail.at(offsets), nbytes=plan.nbytes, flops=plan.flops, making=making,
                    enqueued=enqueued,
                )  # fmt: skip
            self.settle(plan, values, blocks, target)
        except BaseException:  # Ctrl-C, a listener's error: what was taken over is written already
            if enqueued:
                self.settle(plan, values, blocks, target)
            raise

    def settle(
        self, plan: Launch, values: list[Value], blocks: list[Any], target: View | None
    ) -> None:
        """Results are where the launch puts them."""
        if target is not None:
            return
        is_part = plan.parts is not None
        results = values[:1] if is_part else [values[item.place] for item in plan.stored]
        recorder = self.device.recorder
        for value in results if recorder is not None else ():  # they forget what they are made of
            recorder.note_origins(value, [value])
        if is_part:
            self.reduce_parts(results[0], blocks[0], plan)
            return
        for value, block in zip(results, blocks):
            value.settle(block)

    @staticmethod
    def making(plan: Launch, values: list[Value], blocks: list[Any], head: list[Any]) -> Making:
        """What a launch is for. Memory that the result takes over is read as well."""
        sources: list[Any] = [values[i].block for i in (*plan.factors, *plan.leaves)]
        sources += [values[item.donor].block for item in plan.stored if item.donor >= 0]
        return Making(values, [*head, *(x.buffer for x in sources)], [x.buffer for x in blocks])

    def interpret(
        self, plan: Launch, buffers: list[Any], numbers: list[Any], offsets: list[int],
        making: Making | None, enqueued: list[Any],
    ) -> None:  # fmt: skip
        """Run a formula that is not compiled yet."""
        cold = plan.cold
        assert cold is not None
        device = self.device
        kernel = interpreter.kernel(device, cold.program.needs_all)
        table = device.upload(cold.program.numbers(numbers, cold.layout.at(offsets), cold.picks))
        code = cold.program.block.buffer
        unused = [code] * (interpreter.BUFFERS - len(buffers))
        size, group = (1, 1) if device.is_cpu else (-(-cold.points // GROUP) * GROUP, GROUP)
        device.launch(
            kernel, (size,), (group,), code, table.buffer, cold.points, *buffers, *unused,
            nbytes=plan.nbytes, flops=plan.flops, making=making, enqueued=enqueued,
        )  # fmt: skip

    @staticmethod
    def reduce_parts(root: Value, block: Any, plan: Launch) -> None:
        """Make a reduction one of the results of its parts."""
        assert plan.parts is not None
        dtype, shape = plan.parts
        partial = Value("memory", dtype, shape)
        partial.block = block
        root.args, root.params = (partial,), (root.params[0], (0,), False)


def fitted(number: Any, ctype: str) -> Any:
    """A Python number that the C type can hold: what is too large for a float is infinite."""
    if type(number) is Number:
        return number
    if ctype == "float":
        number = float(number)
        if -LARGEST_FLOAT < number < LARGEST_FLOAT or number != number:
            return number
        return float("inf") if number > 0 else float("-inf")
    return float(number) if ctype == "double" else int(number)
