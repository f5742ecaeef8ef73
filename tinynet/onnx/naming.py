"""Names of all that a graph computes with: `Names`."""

from __future__ import annotations

from collections.abc import Iterable

from tinynet.errors import ArgumentError, ArgumentTypeError


class Names:
    """Names that are taken: each stands for one parameter, buffer, input, output or other value."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)
        self.counts: dict[str, int] = {}  # how many there are of a stem and a number

    def unique(self, stem: str) -> str:
        """`stem`, with a number behind it if it is taken."""
        name = stem
        while name in self.taken:
            self.counts[stem] = self.counts.get(stem, 0) + 1
            name = f"{stem}_{self.counts[stem]}"
        self.taken.add(name)
        return name

    def reserve(self, what: str, given: Iterable[str] | None) -> list[str] | None:
        """A user's names of the inputs or outputs, checked and taken; None if there are none."""
        if given is None:
            return None
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ArgumentTypeError(
                f"export: {what}_names is {given!r:.60}, expected a list of strings"
            )
        names = [*given]
        for name in names:
            if not isinstance(name, str):
                raise ArgumentTypeError(f"export: {what}_names has {name!r:.60}, expected strings")
            if not name or name in self.taken:
                raise ArgumentError(
                    f"export: {what}_names has {name!r}, expected a name of its own, which no "
                    "parameter, buffer, input or other output has"
                )
            self.taken.add(name)
        return names

    def chosen(self, what: str, given: list[str] | None, count: int) -> list[str]:
        """Names of the inputs or outputs: by default `input`, or `input_0` and so on."""
        if given is None:
            stems = [what] if count == 1 else [f"{what}_{i}" for i in range(count)]
            return [self.unique(stem) for stem in stems]
        if len(given) != count:
            raise ArgumentError(f"export: {what}_names are {given}, expected {count}")
        return given
