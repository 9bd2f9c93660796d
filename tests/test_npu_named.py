"""Accesses outside of an array: the accelerator names the array that the pointer was made from, in the interpreter's words."""

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import MemoryFault


@tiledsl.jit
def block(out, x, n, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(out + at, tl.load(x + n + at))


@tiledsl.jit
def backwards(out, x, n, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(out - (n - 45) + at, tl.load(x + at))


@tiledsl.jit
def gathered(out, x, n, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(out + at, tl.load(x + at * at * n))


@tiledsl.jit
def single(out, x, n, B: tl.constexpr):
    tl.store(out, tl.load(x + n))


@tiledsl.jit
def counted(out, x, n, B: tl.constexpr):
    tl.atomic_add(out + n + tl.arange(0, B), tl.load(x + tl.arange(0, B)))


@tiledsl.jit
def looping(out, x, n, B: tl.constexpr):
    total = tl.zeros((B,), tl.float32)
    for _ in range(3):
        total += tl.load(x + tl.arange(0, B))
        x += n
    tl.store(out + tl.arange(0, B), total)


@tiledsl.jit
def several(arrays, out, n, B: tl.constexpr):
    for i in tl.static_range(2):
        tl.store(out + tl.arange(0, B), tl.load(arrays[i] + i * n + tl.arange(0, B)))


@pytest.mark.parametrize("kernel", [block, backwards, gathered, single, counted, looping])
def test_the_array_of_the_pointer_is_named(kernel):
    """Not the nearest one, which is the other."""
    said = []
    for backend in ("interpreter", "npu", "npu:vector-only"):
        memory = np.zeros(300, np.float32)
        x, out = memory[:60], memory[160:224]
        with pytest.raises(MemoryFault) as caught:
            kernel[(1,)](out, x, 140, B=16, backend=backend)
        d = caught.value.diagnostic
        said.append((d.message, d.loc, d.help))
    assert said[0] == said[1] == said[2]
    assert ("`out`" if kernel in (backwards, counted) else "`x`") in said[0][0]


def test_a_place_of_several_arrays_names_the_nearest():
    memory = np.zeros(300, np.float32)
    with pytest.raises(MemoryFault, match=r"read outside `arrays.0`: element -14 of 60"):
        several[(1,)]((memory[100:160], memory[:60]), np.zeros(16, np.float32), 86, B=16, backend="npu")
