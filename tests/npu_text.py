"""Kernels as text that run on the accelerator and on the interpreter, and what to give them."""

import numpy as np

from tiledsl.backend.base import Options
from tiledsl.backends.npu import Backend
from tiledsl.interpreter import interpret
from tiledsl.ir.parser import parse
from tiledsl.ir.types import i1
from tiledsl.memory import Buffer
from tiledsl.testing import oracle

NPU = Backend()


def bind(kernel, arguments):
    """Arrays as buffers, and copies of them that nothing else sees."""
    bound, arrays = [], []
    for param, argument in zip(kernel.body.args, arguments, strict=True):
        if isinstance(argument, np.ndarray):
            own = argument.copy()
            arrays.append(own)
            bound.append(Buffer(own.ctypes.data, own.nbytes, param.type.elem.to, True, own, param.name))
        else:
            bound.append(argument)
    return bound, arrays


def agree(text, *arguments, grid=(1, 1, 1)):
    """Run a kernel on both; the arrays as it leaves them, and the report."""
    kernel = parse(text)
    bound, expected = bind(kernel, arguments)
    interpret(kernel, grid, bound)
    bound, found = bind(kernel, arguments)
    report = NPU.launch(NPU.compile(kernel, Options()), grid, bound, Options())
    types = [p.type.elem.to for p, a in zip(kernel.body.args, bound, strict=True) if isinstance(a, Buffer)]
    for dtype, one, other in zip(types, expected, found, strict=True):
        same = oracle.same_bits(dtype, one.view(dtype.storage), other.view(dtype.storage))
        assert same.all(), f"interpreter {one[~same][:4]}, npu {other[~same][:4]}"
    return found, report


def samples(dtype, count, seed=0):
    """Ordinary and special values in storage form."""
    rng = np.random.default_rng(seed)
    if dtype.is_float:
        values = rng.standard_normal(count) * 10.0 ** rng.integers(-3, 4, count)
        values[:8] = [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2.5]
        return dtype.encode(dtype.round(values))
    if dtype is i1:
        return rng.integers(0, 2, count).astype(np.uint8)
    info = np.iinfo(dtype.numpy)
    values = rng.integers(info.min, info.max, count, dtype=dtype.numpy, endpoint=True)
    values[:16] = [0, 1, info.max, info.min, 2, 3, 0, 1, 5, 7, 8, 31, 32, 63, 64, 9]
    return values


def plain(dtype, shape, seed=0):
    """Small ordinary values in storage form."""
    rng = np.random.default_rng(seed)
    if dtype.is_float:
        return dtype.encode(dtype.round(rng.standard_normal(shape)))
    low, high = (0, 2) if dtype is i1 else (0, 100) if not dtype.is_signed else (-100, 100)
    return rng.integers(low, high, shape).astype(dtype.storage)


def load(name, source, dtype, shape="[32]", index="%r"):
    """Text that loads a tile from a parameter."""
    return f"""
  %{name}p: *{dtype}{shape} = broadcast %{source} {{shape={shape}}}
  %{name}q: *{dtype}{shape} = offset %{name}p, {index}
  %{name}: {dtype}{shape} = load %{name}q"""


def store(target, dtype, value, shape="[32]", index="%r"):
    """Text that stores a tile to a parameter."""
    return f"""
  %{target}p: *{dtype}{shape} = broadcast %{target} {{shape={shape}}}
  %{target}q: *{dtype}{shape} = offset %{target}p, {index}
  store %{target}q, {value}"""


GRID2 = """
  %ri: i32[8] = arange {start=0, stop=8}
  %rj: i32[16] = arange {start=0, stop=16}
  %rc: i32[8,1] = reshape %ri {shape=[8,1]}
  %rr: i32[1,16] = reshape %rj {shape=[1,16]}
  %w: i32[8,1] = constant {value=16, type=i32[8,1]}
  %rw: i32[8,1] = mul %rc, %w
  %rb: i32[8,16] = broadcast %rw {shape=[8,16]}
  %cb: i32[8,16] = broadcast %rr {shape=[8,16]}
  %r: i32[8,16] = add %rb, %cb"""
