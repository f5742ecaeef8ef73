"""Which small launches join, and which large ones they let go first."""

from types import SimpleNamespace

import pytest

from tinynet.backends.opencl.device import HEAD
from tinynet.backends.opencl.merging import merged
from tinynet.backends.opencl.tape import Launch


class Buffer:
    def __init__(self, number):
        self.int_ptr = number


class CPU:
    """A device that compiles nothing."""

    is_cpu = True

    @staticmethod
    def build_generated(program, name, types):
        return SimpleNamespace(text="", name=name, types=types)


def launch(name, size, reads, writes, is_planned=True):
    text = f"{HEAD}#define I long\nkernel void {name}(global float *p) {{}}\n"
    kernel = SimpleNamespace(text=text, name=name, types=(None,))
    made = Launch(kernel, (size,), (1,), [Buffer(x) for x in (*reads, *writes)], 0, 0)
    made.uses = tuple(reads), tuple(writes)
    made.is_planned = is_planned
    return made


def small(name, reads, writes):
    return launch(name, 1, reads, writes)


def order(*launches):
    """The names of what is launched, parts of one launch joined by +."""
    named = merged(CPU(), list(launches), lambda kernel, parts: parts)
    each = [x if isinstance(x, list) else [x] for x in named]
    return ["+".join([part.kernel.name for part in parts]) for parts in each]


def test_a_small_one_lets_others_go_first():
    assert order(
        small("a", [1], [2]), launch("large", 2, [3], [4]), small("b", [3], [5])
    ) == ["large", "a+b"]  # fmt: skip


@pytest.mark.parametrize(
    ("reads", "writes"), [([2], [9]), ([9], [2]), ([9], [1])], ids=["reads", "writes", "over"]
)
def test_not_what_depends_on_it(reads, writes):
    """`large` reads what `a` writes, writes it too, or writes what `a` reads."""
    large = launch("large", 2, reads, writes)
    assert order(small("a", [1], [2]), large, small("b", [3], [5])) == ["a", "large", "b"]


def test_reading_the_same_is_no_matter():
    large = launch("large", 2, [1], [9])
    assert order(small("a", [1], [2]), large, small("b", [1], [5])) == ["large", "a+b"]


def test_what_is_not_known_may_be_written():
    large = launch("large", 2, [1], [], is_planned=False)
    assert order(small("a", [1], [2]), large, small("b", [3], [5])) == ["a", "large", "b"]


def test_those_that_wait_keep_their_order():
    """`b` reads what `a` writes; `large` depends on `b` alone, and so on both."""
    large = launch("large", 2, [5], [6])
    assert order(small("a", [1], [2]), small("b", [2], [5]), large) == ["a+b", "large"]


def test_too_many_arguments_for_one_kernel():
    many = [small(f"k{i}", [10 * i + j for j in range(20)], [10 * i + 9]) for i in range(4)]
    assert order(*many) == ["k0+k1+k2", "k3"]


def test_other_devices_launch_all():
    device = SimpleNamespace(is_cpu=False)
    launches = [small("a", [1], [2]), small("b", [3], [4])]
    assert merged(device, launches, None) == launches
