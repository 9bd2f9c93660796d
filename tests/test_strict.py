"""What Triton's frontend refuses and nothing else depends on: it runs here with a note, and TILEDSL_STRICT_TRITON refuses it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import ArgumentError, CompilationError, LaunchError


@tiledsl.jit
def kernel(x, h, n, WHAT: tl.constexpr):
    four = tl.arange(0, 4)
    if WHAT == "mask of a load":
        tl.store(x, tl.sum(tl.load(x + four, mask=four)))
    elif WHAT == "mask of a store":
        tl.store(x, 1.0, mask=n)
    elif WHAT == "mask of an atomic":
        tl.atomic_add(x, 1.0, mask=n)
    elif WHAT == "sigmoid":
        tl.store(h, tl.sigmoid(tl.load(h)))
    elif WHAT == "T":
        tl.store(x, tl.sum(tl.zeros((2, 2, 2), tl.float32).T))
    elif WHAT == "join":
        tl.store(x, tl.sum(tl.join(four, four.to(tl.float32))))
    elif WHAT == "cat":
        tl.store(x, tl.sum(tl.cat(four, four.to(tl.float32))))
    elif WHAT == "histogram":
        tl.store(x, tl.sum(tl.histogram(four, 3)))
    elif WHAT == "static_assert":
        tl.static_assert(1)
    elif WHAT == "print":
        tl.device_print("naïve", n)
    elif WHAT == "comprehension":
        tl.store(x, [v for v in (1, 2) if v > 1][0])
    elif WHAT == "evict":
        tl.store(x, tl.load(x, eviction_policy="evict_normal"))
    elif WHAT == "promise":
        tl.store(x, tl.sum(tl.multiple_of(four[:, None], 4)))
    elif WHAT == "assumption":
        tl.assume(four > 0)
    elif WHAT == "abs":
        tl.store(x, abs(n))
    elif WHAT == "address":
        tl.store(x, x.to(tl.int32))
    elif WHAT == "constant":
        c: tl.constexpr = 1
        for _ in range(n):
            c = 2
        tl.store(x, c)


REFUSALS = {
    "mask of a load": "Mask must have boolean scalar type",
    "mask of a store": "Mask must have boolean scalar type",
    "mask of an atomic": "Mask must have boolean scalar type",
    "sigmoid": r"Expected dtype \['fp32', 'fp64'\] but got fp16",
    "T": "permute dims must have the same length as input shape",
    "join": "tiles of one type",
    "cat": "tiles of one type",
    "histogram": "Shape element 0 must be a power of 2",
    "static_assert": "takes a bool",
    "print": "not an ascii string",
    "comprehension": "condition of a comprehension",
    "evict": "Eviction policy evict_normal not supported",
    "promise": "does not match the length of values",
    "assumption": "int1 scalar",
    "abs": "abs is not defined",
    "address": "cannot cast",
    "constant": "cannot reassign constexpr c in the loop",
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_triton_refuses_is_noted_and_in_strict_mode_refused(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    arguments = np.zeros(4, np.float32), np.zeros(1, np.float16), 3
    found = [note for note in kernel.notes(*arguments, WHAT=what) if re.search(REFUSALS[what], note.message)]
    assert len(found) == 1 and found[0].help and found[0].loc
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match=REFUSALS[what]):
        kernel.warmup(*arguments, WHAT=what, grid=(1,))


def test_a_number_of_warps_is_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = np.zeros(4, np.float32), np.zeros(1, np.float16), 3
    kernel[(1,)](*arguments, WHAT="", num_warps=3)
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    for _ in range(3):
        kernel[(1,)](*arguments, WHAT="", num_warps=4)
    for warps in (3, 0, -4):
        with pytest.raises(LaunchError, match="num_warps must be a power of 2"):
            kernel[(1,)](*arguments, WHAT="", num_warps=warps)


@dataclass
class Descriptor:
    """What a descriptor made on the host has to offer."""

    base: Any
    shape: list[int]
    strides: list[int]
    block_shape: list[Any]
    padding: str = "zero"


@tiledsl.jit
def total(out, desc):
    tl.store(out, tl.sum(desc.load([0, 0])))


@pytest.mark.parametrize("block", [[0, 4], [], [2.5, 4], [-1, 4]])
def test_the_block_of_a_descriptor_has_elements(block: list[Any]) -> None:
    x = np.ones((8, 8), np.float32)
    with pytest.raises(ArgumentError, match="the block of a descriptor is"):
        total[(1,)](np.zeros(1, np.float32), Descriptor(x, [8, 8], [8, 1], block))


def test_the_block_of_a_descriptor_may_have_any_size_but_in_strict_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    x, out = np.ones((8, 8), np.float32), np.zeros(1, np.float32)
    total[(1,)](out, Descriptor(x, [8, 8], [8, 1], [3, 4]))
    assert out[0] == 12
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match="Shape element 0 must be a power of 2"):
        total[(1,)](out, Descriptor(x, [8, 8], [8, 1], [3, 4]))


@tiledsl.jit
def nonsense(x, WHAT: tl.constexpr):
    a = tl.zeros((16, 16), tl.float32)
    if WHAT == "nan":
        tl.store(x, tl.maximum(1.0, 2.0, propagate_nan=3))
    elif WHAT == "dot":
        tl.store(x, tl.sum(tl.dot(a, a, input_precision="ieee", allow_tf32=True)))
    else:
        tl.load(tl.make_block_ptr(x, (4.0,), (1,), (0,), (4,), (0,)))


@pytest.mark.parametrize("what, said", [("nan", "propagate_nan is"), ("dot", "Only one of"), ("window", "expected an integer")])
def test_what_means_nothing_is_refused_always(what: str, said: str) -> None:
    with pytest.raises(CompilationError, match=said):
        nonsense.warmup(np.zeros(4, np.float32), WHAT=what, grid=(1,))
