"""Where the arrays of a recording lie: what is noted of them, so that they may die meanwhile.

Arrays are told apart by their ids, and memory by the id of the array that owns it. An array that
dies leaves its id to a later one, so each id is noted with a weak reference to whose it is.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from tinynet.backends.numpy_calls import Array


class Place:
    """Where an array of a tape lies: `offset` bytes behind the start of some memory.

    `storage` tells memory apart, of which there are `reach` bytes. `kind` is decided by a plan:
    "slot" (comes with each replay), "buffer", "own" (a buffer that others hold too), "outside" or
    "constant" (both are in `array`). `number` says which slot or own buffer; other buffers lie in
    one block, and it says where. A slot that is a view of another one has an `origin` while
    recording: the method, that slot, the other arguments.
    """

    kind = ""
    number = 0
    array: Array | None = None
    origin: tuple[str, Place, tuple[Any, ...]] | None = None

    def __init__(self, array: Array, owner: Array, storage: int) -> None:
        self.shape, self.dtype, self.strides = array.shape, array.dtype, array.strides
        self.ndim, self.size, self.nbytes = array.ndim, array.size, array.nbytes
        self.is_contiguous = array.flags.c_contiguous
        self.storage, self.reach = storage, owner.nbytes
        self.offset = 0 if array is owner else address_of(array) - address_of(owner)

    def view(self, memory: Array) -> Array:
        """The array on this memory."""
        return np.ndarray(self.shape, self.dtype, memory, self.offset, self.strides)

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Places:
    """The places of all arrays of a recording. It holds arrays only where a tape may need them.

    These are arrays from outside, and those that may be the `same` in each replay, as long as
    nobody writes to them.
    """

    def __init__(self) -> None:
        self.known: dict[int, tuple[weakref.ref[Array], Place]] = {}  # by id of the array
        self.owners: dict[int, tuple[weakref.ref[Array], int]] = {}  # storages, by id of the owner
        self.made: dict[int, int] = {}  # storages that calls made, and their bytes
        self.same: dict[int, list[Place]] = {}  # some of them, and the places in them
        self.numbers = count(1)

    def of(self, item: Any) -> Any:
        """Recorded arguments with places for arrays."""
        if type(item) in (tuple, list):
            return tuple([self.of(part) for part in item])
        if not isinstance(item, np.ndarray):
            return item
        known = self.known.get(id(item))
        if known is not None and known[0]() is item:
            return known[1]
        place = self.new(item)
        if place.storage in self.same:
            self.same[place.storage].append(place)
        if place.storage in self.same or place.storage not in self.made:
            place.array = item
        return place

    def new(self, array: Array) -> Place:
        """The place of an array that is noted for the first time."""
        owner = owner_of(array)
        place = Place(array, owner, self.storage(owner))
        self.known[id(array)] = weakref.ref(array), place
        return place

    def has_memory_of(self, array: Array) -> bool:
        """Whether an array that lies in the same memory was noted."""
        owner = owner_of(array)
        known = self.owners.get(id(owner))
        return known is not None and known[0]() is owner

    def storage(self, owner: Array) -> int:
        """The number of the memory that an array owns."""
        known = self.owners.get(id(owner))
        if known is None or known[0]() is not owner:
            known = self.owners[id(owner)] = weakref.ref(owner), next(self.numbers)
        return known[1]

    def add_slot(self, array: Array, number: int, origin: Any = None) -> None:
        """Note an input, or a view of one."""
        place = self.new(array)
        place.kind, place.number, place.origin = "slot", number, origin

    def add_made(self, arrays: tuple[Array, ...], is_same: bool) -> None:
        """Note that a call made these, and whether they may be the same in each replay."""
        for owner in map(owner_of, arrays):
            storage = self.storage(owner)
            self.made[storage] = owner.nbytes
            if is_same:
                self.same.setdefault(storage, [])

    def change(self, place: Place) -> None:
        """Note that the memory of a place is written, or others may write to it."""
        for held in self.same.pop(place.storage, ()):
            held.array = None


def places_in(item: Any) -> Iterator[Place]:
    """The places among arguments."""
    if isinstance(item, Place):
        yield item
    elif type(item) is tuple:
        for part in item:
            yield from places_in(part)


def owner_of(array: Array) -> Array:
    """The array that an array's memory belongs to."""
    while True:
        base = array.base
        base = getattr(base, "owner", base)  # a window of `strided`
        if not isinstance(base, np.ndarray):
            return array
        array = base


def address_of(array: Array) -> int:
    """Where an array's first element lies."""
    return int(array.__array_interface__["data"][0])
