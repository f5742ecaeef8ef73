"""Which kernels are compiled, and when: compilation takes a tenth of a second or more.

A small formula is interpreted at first, and so is what is made of a small product's elements: the
product then has the kernel that all such products share. What has been used `patience` times gets a
kernel of its own, and at once what an earlier process has compiled, what cannot be interpreted and
what is recorded.
"""

from __future__ import annotations

from math import prod

from tinynet import determinism
from tinynet.backends.opencl import codegen, interpreter, matmul, products
from tinynet.backends.opencl.device import HEAD, Device, Kernel
from tinynet.backends.opencl.fusion import Formula, Leaf
from tinynet.backends.opencl.plans import Cold, Epilogue, First, Layout, Offset, Plan
from tinynet.backends.opencl.spaces import Result, Space
from tinynet.backends.opencl.spec import Spec, Text


class Compiler:
    """The kernels of one device, by structure; `uses` counts those that are not compiled yet."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.patience = interpreter.PATIENCE
        self.uses: dict[Spec | Epilogue, int] = {}
        self.kernels: dict[Spec | Epilogue, Kernel] = {}
        self.programs: dict[Spec, interpreter.Program] = {}
        self.epilogues: dict[Spec, Text] = {}

    def is_hot(self, structure: Spec | Epilogue) -> bool:
        """Whether a structure was used often enough to be worth its compilation."""
        return self.uses.get(structure, 0) >= self.patience or determinism.choice.is_on

    def warmed(self, plan: Plan) -> Plan | None:
        """Count a use of a plan that does without its kernel; with it, once that is worth it.

        None if there has to be another plan then.
        """
        assert plan.cold is not None
        structure = plan.cold.spec if isinstance(plan.cold, Cold) else plan.cold
        if not self.is_hot(structure):
            self.uses[structure] = self.uses.get(structure, 0) + 1
            return plan
        if isinstance(plan, First):
            return None
        assert isinstance(structure, Spec)
        return plan._replace(kernel=self.kernel(structure), cold=None)

    # formulas
    def kernel(self, spec: Spec) -> Kernel:
        """The compiled kernel for a structure."""
        kernel = self.kernels.get(spec)
        if kernel is None:
            name, program, types = codegen.write(spec)
            kernel = self.kernels[spec] = self.device.build_generated(program, name, types)
        return kernel

    def kernel_or_cold(
        self, spec: Spec, formula: Formula, results: list[Result], space: Space
    ) -> Kernel | Cold:
        """The kernel, if it is there or worth its compilation; else what is interpreted."""
        points = prod(space.sizes)
        inner = 1 if spec.kind == "map" else prod(space.sizes[space.n_outer :])
        if (
            spec in self.kernels or self.is_hot(spec)
            or not interpreter.can_interpret(self.device, spec, points, inner)
        ):  # fmt: skip
            return self.kernel(spec)
        if spec not in self.programs:
            if self.device.is_built(codegen.write(spec).program):
                return self.kernel(spec)
            self.programs[spec] = interpreter.Program(self.device, spec)
        layout: list[int | Offset] = [*space.sizes]
        accesses: list[Leaf | Result] = [*formula.leaves, *results]
        for access, strides in zip(accesses, space.strides):
            layout += [Offset(access.offset), *strides]
        picks = [number for pick in formula.picks for number in pick]
        n_outer = len(space.sizes) if spec.kind == "map" else space.n_outer
        outer = prod(space.sizes[:n_outer])
        where = Layout.of(layout, formula.graph)
        return Cold(spec, self.programs[spec], where, tuple(picks), outer)

    # products
    def product_kernel(self, spec: Spec, planned: products.Plan) -> Kernel:
        """The compiled kernel of a product with its epilogue."""
        written = self.epilogue(spec)
        kernel = matmul.kernel(self.device, HEAD + written.program, planned, written.types)
        self.kernels[spec, planned.text] = kernel
        return kernel

    def is_cold_epilogue(self, spec: Spec, planned: products.Plan, points: int) -> bool:
        """Whether the product by itself is better at first, and its epilogue interpreted."""
        structure = (spec, planned.text)
        as_map = spec._replace(kind="map")
        return not (
            structure in self.kernels or self.is_hot(structure)
            or not interpreter.can_interpret(self.device, as_map, points, 1)
            or self.device.is_built(self.epilogue(spec).program + planned.text)
        )  # fmt: skip

    def epilogue(self, spec: Spec) -> Text:
        """The text of what is made of a product's elements."""
        written = self.epilogues.get(spec)
        if written is None:
            written = self.epilogues[spec] = codegen.write_epilogue(spec)
        return written
