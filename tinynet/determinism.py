"""Whether results may depend, in their last bits, on what a machine computed before.

Every operation gives the same bits each time the same kernels compute it. But OpenCL kernels that
were not needed often yet are interpreted rather than compiled, and a sum then adds up in another
order. A program that is to be continued bit for bit in another process does without that.
"""

from tinynet.errors import ArgumentTypeError


class _Choice:
    is_on = False


choice = _Choice()


def use_deterministic_algorithms(mode: bool) -> None:
    """Have the same program give the same bits on the same device, in every process.

    Every OpenCL kernel is then compiled when it is first used, which takes a moment each.

    >>> import tinynet as tn
    >>> tn.use_deterministic_algorithms(True)
    >>> tn.are_deterministic_algorithms_enabled()
    True
    >>> tn.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise ArgumentTypeError(
            f"use_deterministic_algorithms: mode is {mode!r:.60}, expected True or False"
        )
    choice.is_on = mode


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` is on."""
    return choice.is_on
