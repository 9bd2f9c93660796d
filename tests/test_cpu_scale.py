"""Products with powers of two: by one instruction where there is one, with the bits of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from cpu_kernels import CPU, agree, bits

from tiledsl.backend.base import Buffer, Options
from tiledsl.interpreter import interpret
from tiledsl.ir.parser import parse
from tiledsl.ir.types import f32
from tiledsl.passes import pipeline

SCALE = """kernel @scale(%x: *f32, %n: *f32, %y: *f32) {{
  %one: i64 = constant {{value=1, type=i64}}
  %a: f32[{n}] = load_block %x, %one {{shape=[{n}], checked=[], masked=false, filled=false}}
  %b: f32[{n}] = load_block %n, %one {{shape=[{n}], checked=[], masked=false, filled=false}}
  %c: f32[{n}] = {op}
  store_block %y, %c, %one {{checked=[], masked=false}}
}}
"""
NUMBERS = [0.0, 1.0, 1.4142135, 0.7, 1e-40, 1.4e-45, 3e38, 1.1754944e-38, np.inf, np.nan]
OCTAVES = [
    0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    127.0,
    128.0,
    277.0,
    278.0,
    -126.0,
    -149.0,
    -150.0,
    -151.5,
    -276.9,
    -300.0,
    1e9,
    -1e30,
    np.inf,
    np.nan,
]


def scaled(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """x * 2**k by what this machine makes of it, an instruction or several, which is what the definition says."""
    kernel = parse(SCALE.format(n=x.size, op="scale %a, %b"))
    found = agree(pipeline.run(kernel, CPU.passes, CPU.machine), x, k, np.zeros(x.size, np.float32))[-1]
    exact = np.zeros(x.size, np.float32)
    interpret(kernel, (1, 1, 1), [Buffer(a.ctypes.data, a.nbytes, f32, True, a, name) for a, name in ((x, "x"), (k, "n"), (exact, "y"))])
    assert (bits(f32, found) == bits(f32, exact)).all()
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 8, 100])
def test_every_pair_agrees(n: int) -> None:
    pairs = [(s * x, s * t * k) for x in NUMBERS for k in OCTAVES for s in (1, -1) for t in (1, -1)]
    pairs += pairs[: -len(pairs) % n]  # a NaN and an infinity stand at the end
    x, k = (np.array(part, np.float32) for part in zip(*pairs, strict=True))
    for start in range(0, x.size, n)[:60] if n < 100 else range(0, x.size, n):
        scaled(x[start : start + n].copy(), k[start : start + n].copy())


def test_nans_of_both_kinds_agree() -> None:
    """What AVX-512 makes of a quiet one and an infinite exponent is a number, and the definition says so."""
    x = np.array([0x7FC00000, 0xFFC00001, 0x7FA00000, 0xFF800001] * 4, np.uint32).view(np.float32)
    n = np.repeat(np.array([np.inf, -np.inf, np.nan, 3], np.float32), 4)
    np.testing.assert_array_equal(scaled(x, n), [np.inf, np.inf, np.nan, np.nan, 0, 0, *[np.nan] * 10])


@pytest.mark.parametrize("op", ["exp", "exp2", "sigmoid"])
def test_functions_have_the_same_bits_either_way(op: str) -> None:
    edges = np.array([0.0, -0.0, 88.7, 89.5, -87.4, -103.9, -104.1, 17.3, 18.5, 1e-40, np.inf, -np.inf, np.nan, 128.0, -149.5], np.float32)
    x = np.concatenate([edges, np.linspace(-110, 95, 497, dtype=np.float32)])
    found = []
    for machine in (CPU.machine, CPU.machine.but(native=frozenset[str]())):
        kernel = pipeline.run(parse(SCALE.format(n=512, op=f"{op} %a")), CPU.passes, machine)
        assert ("scalef" in CPU.compile(kernel, Options()).text["llvm"]) == ("scale" in machine.native)
        found.append(agree(kernel, x, np.zeros(1, np.float32), np.zeros(512, np.float32))[-1])
    assert (bits(f32, found[0]) == bits(f32, found[1])).all()
