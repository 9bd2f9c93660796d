"""Ops that touch memory: through tiles of pointers, or as blocks with strides and bounds.

Every op that reads or writes happens in program order. Lanes of one op count in row-major order.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from ..errors import require
from ..ir.spec import export, op
from ..ir.types import NARROW, Pointer, Tile, i1, i64, same


def _pointee(ptr: Tile, mask: Tile | None) -> Tile:
    require(isinstance(ptr.elem, Pointer), f"{ptr} is not a tile of pointers")
    require(mask is None or mask == ptr.like(i1), f"mask {mask} does not match {ptr}")
    assert isinstance(ptr.elem, Pointer)
    return ptr.like(ptr.elem.to)


def _load(run: Any, ptr: np.ndarray, mask: np.ndarray | None = None, other: np.ndarray | None = None, *, types: Any) -> np.ndarray:
    return run.memory.load(types[0].elem.to, ptr, mask, other)


@op(_load, effect="read", traits={"typed"})
def load(ptr: Tile, mask: Tile | None = None, other: Tile | None = None) -> Tile:
    """Read where mask holds; elsewhere other, or 0. Lanes without mask touch no memory."""
    element = _pointee(ptr, mask)
    require(other is None or other == element, f"other {other} does not match {ptr}")
    return element


def _store(run: Any, ptr: np.ndarray, value: np.ndarray, mask: np.ndarray | None = None, *, types: Any) -> None:
    run.memory.store(types[0].elem.to, ptr, value, mask)


@op(_store, effect="write", traits={"typed"})
def store(ptr: Tile, value: Tile, mask: Tile | None = None) -> None:
    """Write value where mask holds. Of lanes with one address the highest wins."""
    require(value == _pointee(ptr, mask), f"cannot store {value} through {ptr}")


class Atomic(Enum):
    """What an atomic does with the old value and the new."""

    ADD, MAX, MIN, AND, OR, XOR, XCHG = "add", "max", "min", "and", "or", "xor", "xchg"


def _atomic(run: Any, ptr: np.ndarray, value: np.ndarray, mask: np.ndarray | None = None, *, kind: Atomic, types: Any) -> np.ndarray:
    return run.memory.atomic(types[0].elem.to, ptr, value, mask, kind.value)


@op(_atomic, effect="write", traits={"typed", "atomic"})
def atomic_rmw(ptr: Tile, value: Tile, mask: Tile | None = None, *, kind: Atomic) -> Tile:
    """Combine value into memory, lane by lane, and return what was there before; 0 where mask does not hold."""
    element = _pointee(ptr, mask)
    require(value == element, f"cannot combine {value} through {ptr}")
    require(element.elem not in NARROW, f"atomics are not defined for {element.elem}")
    arithmetic = kind in (Atomic.ADD, Atomic.MAX, Atomic.MIN, Atomic.XCHG)
    require(element.elem.is_int or arithmetic, f"atomic {kind.value} is not defined for {element.elem}")
    return element


def _cas(run: Any, ptr: np.ndarray, expected: np.ndarray, value: np.ndarray, *, types: Any) -> np.ndarray:
    return run.memory.compare_and_swap(types[0].elem.to, ptr, expected, value)


@op(_cas, effect="write", traits={"typed", "atomic"})
def atomic_cas(ptr: Tile, expected: Tile, value: Tile) -> Tile:
    """Write value where memory holds the bits of expected, lane by lane; return what was there before."""
    element = _pointee(ptr, None)
    require(same(expected, value) == element, f"cannot compare {expected} through {ptr}")
    return element


# --- blocks: what a DMA engine can do, and a vector unit likes


def split_block_operands(rest: Any, rank: int, checked: tuple[int, ...], masked: bool, filled: bool) -> Any:
    """(strides, {dim: (lo, hi)}, mask or None, other or None) from the operands of a block access after its base
    (and value): strides, bounds of the checked dims, mask, other."""
    strides, rest = rest[:rank], rest[rank:]
    bounds = {d: (rest[2 * i], rest[2 * i + 1]) for i, d in enumerate(checked)}
    rest = list(rest[2 * len(checked) :])
    mask = rest.pop(0) if masked else None
    other = rest.pop(0) if filled else None
    return strides, bounds, mask, other


def _is_way(tile: Tile, extent: int) -> bool:
    """Whether this may say how the indices of an axis lie in memory: a stride, or an offset for each of them."""
    return tile in (Tile(i64), Tile(i64, (extent,)))


def _check_block(base: Tile, shape: tuple[int, ...], rest: tuple[Tile, ...], checked: tuple[int, ...], masked: bool, filled: bool) -> Tile:
    require(isinstance(base.elem, Pointer) and not base.shape, f"the base of a block is a scalar pointer, got {base}")
    assert isinstance(base.elem, Pointer)
    require(min(shape, default=1) > 0, f"extents must be positive, got {list(shape)}")
    require(list(checked) == sorted(set(checked) & set(range(len(shape)))), f"checked axes {list(checked)} do not fit {list(shape)}")
    ways, others = rest[: len(shape)], list(rest[len(shape) :])
    for extent, way in zip(shape, ways, strict=False):
        require(_is_way(way, extent), f"an axis of {extent} takes {Tile(i64)}, or {Tile(i64, (extent,))}, got {way}")
    expected = [Tile(i64)] * (2 * len(checked)) + [Tile(i1, shape)] * masked + [Tile(base.elem.to)] * filled
    require(len(ways) == len(shape) and others == expected, f"a block of {list(shape)} takes {expected}, got {others}")
    return Tile(base.elem.to, shape)


def _block_lanes(base: Any, shape: tuple[int, ...], rest: Any, checked: tuple[int, ...], masked: bool, filled: bool, itemsize: int) -> Any:
    """The addresses of a block, which lanes are valid, and the value of the others."""
    strides, bounds, mask, other = split_block_operands(rest, len(shape), checked, masked, filled)
    index = np.indices(shape, np.int64, sparse=True)
    offsets = (s[i] if np.ndim(s) else i * int(s) for i, s in zip(index, strides, strict=True))
    address = np.broadcast_to(np.int64(base) + sum((offset * itemsize for offset in offsets), np.int64(0)), shape)
    valid = np.ones(shape, bool) if mask is None else mask
    for d, (lo, hi) in bounds.items():
        valid = valid & (index[d] >= lo) & (index[d] < hi)
    return address, valid, None if other is None else np.broadcast_to(other, shape)


def _load_block(run: Any, base: Any, *rest: Any, shape: Any, checked: Any, masked: Any, filled: Any, types: Any) -> np.ndarray:
    elem = types[0].elem.to
    return run.memory.load(elem, *_block_lanes(base, shape, rest, checked, masked, filled, elem.itemsize))


@op(_load_block, effect="read", traits={"typed"})
def load_block(base: Tile, *rest: Tile, shape: tuple[int, ...], checked: tuple[int, ...], masked: bool, filled: bool) -> Tile:
    """Read the block of elements at base + sum of index[d] * stride[d]. After base come the strides (i64, in elements);
    in place of a stride there may be a tile of an offset for every index of the axis. Then lo and hi (i64) of each checked
    axis, then a mask if masked, then a scalar if filled. Lanes with an index outside lo <= index < hi, or without mask,
    touch no memory and are the scalar, or 0."""
    return _check_block(base, shape, rest, checked, masked, filled)


def _store_block(run: Any, base: Any, value: Any, *rest: Any, checked: Any, masked: Any, types: Any) -> None:
    elem = types[0].elem.to
    address, valid, _ = _block_lanes(base, value.shape, rest, checked, masked, False, elem.itemsize)
    run.memory.store(elem, address, value, valid)


@op(_store_block, effect="write", traits={"typed"})
def store_block(base: Tile, value: Tile, *rest: Tile, checked: tuple[int, ...], masked: bool) -> None:
    """Write a tile as a block of memory; operands as in load_block, with the value after the base. Lanes outside the
    bounds or without mask are not written; of lanes with one address the highest wins."""
    require(value == _check_block(base, value.shape, rest, checked, masked, False), f"cannot store {value} through {base}")


export(globals())
