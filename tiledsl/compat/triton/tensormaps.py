"""Descriptors that lie in memory, as Triton had them before `make_tensor_descriptor`: written by the host or by a kernel.

There they are opaque to all but the hardware. Here they are words of 64 bits: the address of a row-major tensor, and its
extents; the element type and the block are named by every access."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

from ... import ops
from ...errors import require
from ...ir.core import Value
from ...ir.types import i64
from ...language import coerce
from ...language.block_pointers import wide, wides
from ...language.core import Context, builtin, unwrap
from ...language.creation import pointee, shape_of
from ...language.descriptors import TensorDescriptor, load_tensor_descriptor, store_tensor_descriptor
from ...language.dtypes import dtype as element_type
from ...language.dtypes import pointer_type, uint8

nv_tma_desc_type = pointer_type(uint8)
WORD = struct.calcsize("<q")

# --- the host


def fill_1d_tma_descriptor(address: int, extent: int, block: int, itemsize: int, descriptor: Any) -> None:
    """Describe so many elements at an address; the descriptor is an address, too, or an array of bytes."""
    _fill(descriptor, address, extent)


def fill_2d_tma_descriptor(
    address: int, rows: int, columns: int, block_rows: int, block_columns: int, itemsize: int, descriptor: Any
) -> None:
    """Describe a row-major matrix at an address; the descriptor is an address, too, or an array of bytes."""
    _fill(descriptor, address, rows, columns)


def _fill(descriptor: Any, *words: int) -> None:
    packed = struct.pack(f"<{len(words)}q", *words)
    if isinstance(descriptor, int):
        ctypes.memmove(descriptor, packed, len(packed))
    else:
        memoryview(descriptor).cast("B")[: len(packed)] = packed


# --- kernels


def _word(ctx: Context, descriptor: Value, index: int) -> Value:
    """The pointer to a word of a descriptor, which kernels hold as a pointer to bytes."""
    pointee(descriptor)
    words = ctx.build.emit(ops.pointer, ctx.build.emit(ops.address, descriptor), to=i64)
    return ctx.build.emit(ops.offset, words, coerce.constant(ctx.build, index, i64))


def _described(ctx: Context, descriptor: Value, shape: Any, elem: Any) -> TensorDescriptor:
    """The descriptor of today that says the same, for blocks of this shape."""
    build, block = ctx.build, shape_of(ctx.build, shape)
    require(len(block) in (1, 2), f"descriptors in memory are of 1 or 2 axes, got a block of {list(block)}")
    address, *extents = (build.emit(ops.load, _word(ctx, descriptor, i)) for i in range(1 + len(block)))
    base = build.emit(ops.pointer, address, to=unwrap(elem).elem)
    return TensorDescriptor(base, wides(build, extents), wides(build, (*extents[1:], 1)), block)


@builtin
def _experimental_descriptor_load(ctx: Context, desc_pointer: Value, offsets: Any, shape: Any, dtype: Any) -> Value:
    """The block of this shape and type at offsets; zeros outside."""
    value: Value = load_tensor_descriptor.function(ctx, _described(ctx, desc_pointer, shape, dtype), offsets)
    return value


@builtin
def _experimental_descriptor_store(ctx: Context, desc_pointer: Value, value: Value, offsets: Any) -> None:
    """Write a block at offsets; what lies outside is dropped."""
    described = _described(ctx, desc_pointer, list(value.type.shape), element_type.of(value.type.elem))
    store_tensor_descriptor.function(ctx, described, offsets, value)


@builtin
def _experimental_reinterpret_tensor_descriptor(ctx: Context, desc_ptr: Value, block_shape: Any, dtype: Any) -> TensorDescriptor:
    """A descriptor in memory as one of today."""
    return _described(ctx, desc_ptr, block_shape, dtype)


def _create(ctx: Context, descriptor: Value, address: Value, extents: Any) -> None:
    words = (ctx.build.emit(ops.address, address), *(wide(ctx.build, extent) for extent in extents))
    for index, word in enumerate(words):
        ctx.build.emit(ops.store, _word(ctx, descriptor, index), word)


@builtin
def experimental_device_tensormap_create1d(
    ctx: Context, desc_ptr: Value, global_address: Value, load_size: Any, global_size: Any, element_ty: Any
) -> None:
    """Write a descriptor of so many elements at an address."""
    _create(ctx, desc_ptr, global_address, [global_size])


@builtin
def experimental_device_tensormap_create2d(
    ctx: Context, desc_ptr: Value, global_address: Value, load_size: Any, global_size: Any, element_ty: Any
) -> None:
    """Write a descriptor of a row-major matrix at an address."""
    _create(ctx, desc_ptr, global_address, unwrap(global_size))


@builtin
def experimental_tensormap_fenceproxy_acquire(ctx: Context, desc_ptr: Value) -> None:
    """See what was written: memory is one here."""
