"""The memory a reference run sees: a few regions of bytes, every access checked, atomics one lane after another."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import ops
from .errors import MemoryFault
from .ir.types import DType


@dataclass(slots=True, eq=False)
class Buffer:
    """A pointer argument of a launch: where it is, how long, of what, and who keeps it alive. It is not changed."""

    address: int  # of the first element: what the kernel receives
    nbytes: int  # from there on
    dtype: DType
    writable: bool = True
    owner: object = None
    name: str = ""
    before: int = 0  # bytes that lie below `address`, where a view runs backwards

    @property
    def start(self) -> int:
        """The lowest address of any element."""
        return self.address - self.before

    @property
    def stop(self) -> int:
        """The address after the last byte."""
        return self.address + self.nbytes


class Unwritten(np.ndarray):
    """An array that knows which of its bytes have been written, by kernels of the interpreter or by `array[...] = value`."""

    written: np.ndarray | None = None  # a flag per byte; None in views

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if self.written is not None:
            self.written.reshape(*self.shape, self.itemsize)[key] = True


def empty(shape: int | Sequence[int], dtype: Any = np.float32) -> Unwritten:
    """An array to be filled by kernels: on the interpreter, reading an element that nothing has written is a MemoryFault.
    It holds arbitrary values at first; other libraries see an ordinary array, and what they write is not noticed."""
    made = np.empty(shape, dtype).view(Unwritten)
    made.written = np.zeros(made.nbytes, bool)
    return made


@dataclass(repr=False, eq=False)
class Region:
    """Bytes that overlapping buffers share; `written` marks the initialised ones, None when all are."""

    start: int
    stop: int
    writable: bool
    names: list[str] = field(default_factory=list)
    written: np.ndarray | None = None
    bytes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))  # those at the addresses themselves, unless others are given

    def __post_init__(self) -> None:
        if not self.bytes.size:
            size = max(self.stop - self.start, 0)
            self.bytes = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(self.start))


def regions_of(buffers: Sequence[Buffer]) -> list[Region]:
    """Regions in order of address; buffers that overlap become one."""
    regions: list[Region] = []
    for b in sorted(buffers, key=lambda b: b.start):
        marks = getattr(b.owner, "written", None)
        if regions and b.start < regions[-1].stop:
            last = regions[-1]
            stop = max(last.stop, b.stop)
            regions[-1] = Region(last.start, stop, last.writable or b.writable, [*last.names, b.name])
        else:
            regions.append(Region(b.start, b.stop, b.writable, [b.name], marks))
    return regions


def spans_of(buffers: Sequence[Buffer]) -> list[tuple[int, int]]:
    """As many spans of addresses as there are buffers, which cover them; empty ones where buffers overlap."""
    found = [(r.start, r.stop) for r in regions_of(buffers)]
    return [*found, *[(0, 0)] * (len(buffers) - len(found))]


def held(buffers: Sequence[Buffer]) -> int:
    """A number that stands for what arrays hold."""
    total = 0
    for region in regions_of(buffers):
        if region.writable:
            total = zlib.crc32(region.bytes, total)  # type: ignore[arg-type]
    return total


Update = Callable[[np.ndarray, int], np.ndarray]  # (old value, lane) -> new value, both of one element
Piece = tuple[np.ndarray, Region, np.ndarray]  # lanes, the region they touch, their byte offsets in it


class Memory:
    """Loads, stores and atomics on tiles of byte addresses; MemoryFault names the buffer and the lane."""

    def __init__(self, buffers: Sequence[Buffer]):
        self.regions = regions_of(buffers)
        self.names = [b.name for b in buffers]
        self.starts = np.array([r.start for r in self.regions], np.int64)
        self.latest = 0  # the address of the last single element that was read

    def load(self, elem: DType, address: np.ndarray, mask: np.ndarray | None = None, other: np.ndarray | None = None) -> np.ndarray:
        """Values at addresses where mask holds; other, or 0, elsewhere."""
        shape = np.shape(address)
        out = np.zeros(shape, elem.numpy) if other is None else np.array(other, elem.numpy)
        where = _lanes(address, mask)
        if where.size == 1:
            self.latest = int(np.ravel(address)[where[0]])
        flat = out.reshape(-1)
        stored = np.empty(where.size, elem.storage)
        for lanes, region, at in self._locate(elem, np.ravel(address)[where], "read", shape, where):
            if region.written is not None:
                self._require_written(region, at, elem, shape, where[lanes])
            stored[lanes] = _read(region, at, elem)
        flat[where] = elem.decode(stored)
        return flat.reshape(shape)

    def store(self, elem: DType, address: np.ndarray, value: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Write values where mask holds; of lanes with one address the last wins."""
        where = _lanes(address, mask)
        stored = np.ascontiguousarray(elem.encode(np.ravel(value)[where]))
        for lanes, region, at in self._locate(elem, np.ravel(address)[where], "write", np.shape(address), where):
            if region.written is not None:
                region.written[at[:, None] + np.arange(elem.itemsize)] = True
            _write(region, at, elem, stored[lanes])

    def atomic(self, elem: DType, address: np.ndarray, value: np.ndarray, mask: np.ndarray | None, kind: str) -> np.ndarray:
        """Combine values into memory lane by lane; what was there before, 0 where mask does not hold."""
        new = np.ravel(value)
        if kind == "xchg":
            return self._each(elem, address, mask, lambda old, lane: new[lane : lane + 1])
        combine = ATOMICS[kind].evaluate
        return self._each(elem, address, mask, lambda old, lane: combine(old, new[lane : lane + 1]))

    def compare_and_swap(self, elem: DType, address: np.ndarray, expected: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Write value where memory holds the bits of expected, lane by lane; what was there before."""

        def swap(old: np.ndarray, lane: int) -> np.ndarray:
            same = elem.encode(old).tobytes() == elem.encode(np.ravel(expected)[lane : lane + 1]).tobytes()
            return np.ravel(value)[lane : lane + 1] if same else old

        return self._each(elem, address, None, swap)

    def _each(self, elem: DType, address: np.ndarray, mask: np.ndarray | None, update: Update) -> np.ndarray:
        shape = np.shape(address)
        out = np.zeros(shape, elem.numpy).reshape(-1)
        where = _lanes(address, mask)
        for _ in self._locate(elem, np.ravel(address)[where], "write", shape, where):
            pass  # the lane that is outside is one of these, not of the single ones below
        for lane in where:
            one = np.ravel(address)[lane : lane + 1]
            old = self.load(elem, one)
            out[lane] = old[0]
            with np.errstate(all="ignore"):
                new = update(old, int(lane))
            self.store(elem, one, elem.round(new) if elem.is_float else new)
        return out.reshape(shape)

    def _locate(self, elem: DType, address: np.ndarray, verb: str, shape: tuple[int, ...], where: np.ndarray) -> Iterator[Piece]:
        """(lanes, region, byte offsets) for each region that is touched; a fault for a lane that touches none."""
        if not address.size:
            return
        index = np.searchsorted(self.starts, address, "right") - 1
        for i in np.unique(index):
            lanes = np.flatnonzero(index == i)
            at = address[lanes] - (self.starts[i] if i >= 0 else 0)
            if i < 0:
                raise outside(self.regions, verb, elem, int(address[lanes[0]]), shape, int(where[lanes[0]]))
            region = self.regions[i]
            beyond = np.flatnonzero(at + elem.itemsize > region.stop - region.start)
            if beyond.size:
                lane = lanes[beyond[0]]
                raise outside(self.regions, verb, elem, int(address[lane]), shape, int(where[lane]))
            if verb == "write" and not region.writable:
                raise MemoryFault(f"the kernel writes to `{'`, `'.join(region.names)}`, which is read-only", help="pass a writable array")
            yield lanes, region, at

    def _require_written(self, region: Region, at: np.ndarray, elem: DType, shape: tuple[int, ...], lanes: np.ndarray) -> None:
        assert region.written is not None
        fresh = np.flatnonzero(~region.written[at[:, None] + np.arange(elem.itemsize)].all(1))
        if fresh.size:
            place = f" (lane {list(map(int, np.unravel_index(lanes[fresh[0]], shape)))} of {list(shape)})" if shape else ""
            raise MemoryFault(f"read of `{region.names[0]}` element {at[fresh[0]] // elem.itemsize}, which nothing has written{place}")


def outside(
    regions: Sequence[Region], verb: str, elem: DType, address: int, shape: Sequence[int], lane: int, through: str = ""
) -> MemoryFault:
    """What is wrong with a lane of an access that lies in none of the regions. It is told about the array that the pointer
    was made from, if that is known, else about the nearest."""

    def distance(r: Region) -> int:
        return max(r.start - address, address - r.stop, 0)

    near = next((r for r in regions if through in r.names), None) or min(regions, key=distance, default=None)
    place = f" (lane {list(map(int, np.unravel_index(lane, shape)))} of {list(shape)})" if shape else ""
    if near is None:
        return MemoryFault(f"the kernel {verb}s{place}, but no array was passed")
    element, count = (address - near.start) // elem.itemsize, (near.stop - near.start) // elem.itemsize
    fault = MemoryFault(
        f"{verb} outside `{'`, `'.join(near.names)}`: element {element} of {count}{place}",
        help="mask the lanes that lie outside, or pass the right size",
    )
    fault.access = (verb, elem, address, shape, lane)
    return fault


def placed(fault: MemoryFault, program: Sequence[int], grid: Sequence[int]) -> MemoryFault:
    """The fault with the program that made it, where there are several."""
    if any(n > 1 for n in grid):
        fault.note(f"program {tuple(program)} of {tuple(grid)}")
    return fault


def _lanes(address: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Flat indices of the lanes that take part, in row-major order."""
    return np.arange(np.size(address)) if mask is None else np.flatnonzero(np.ravel(mask))


def _elements(region: Region, elem: DType) -> np.ndarray:
    """The region as an array of elements, as far as whole ones fit."""
    return region.bytes[: region.bytes.size // elem.itemsize * elem.itemsize].view(elem.storage)


def _read(region: Region, at: np.ndarray, elem: DType) -> np.ndarray:
    if not np.any(at % elem.itemsize):
        return _elements(region, elem)[at // elem.itemsize]
    return np.ascontiguousarray(region.bytes[at[:, None] + np.arange(elem.itemsize)]).view(elem.storage).reshape(-1)


def _write(region: Region, at: np.ndarray, elem: DType, stored: np.ndarray) -> None:
    if not np.any(at % elem.itemsize):
        _elements(region, elem)[at // elem.itemsize] = stored
    else:
        region.bytes[at[:, None] + np.arange(elem.itemsize)] = stored.view(np.uint8).reshape(-1, elem.itemsize)


ATOMICS = {
    "add": ops.add,
    "max": ops.maximum,
    "min": ops.minimum,
    "and": ops.and_,
    "or": ops.or_,
    "xor": ops.xor,
}
