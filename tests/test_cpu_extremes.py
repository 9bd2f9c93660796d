"""The largest and smallest of many floats, with zeros of both signs and NaNs of both kinds among them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cpu_kernels import CPU, agree

import tiledsl.language as tl
from tiledsl.backend.base import Options
from tiledsl.ir.parser import parse
from tiledsl.kernels.rows import argmax_kernel

FOLD = """kernel @fold(%x: *f32, %y: *f32) {{
  %n: i64 = constant {{value={n}, type=i64}}
  %one: i64 = constant {{value=1, type=i64}}
  %a: f32[64,{n}] = load_block %x, %n, %one {{shape=[64,{n}], checked=[], masked=false, filled=false}}
  %m: f32[64] = reduce %a {{axis=1}} {{
  ^(%p: f32, %q: f32):
    %r: f32 = {op} %p, %q
    yield %r
  }}
  store_block %y, %m, %one {{checked=[], masked=false}}
}}
"""


@pytest.mark.parametrize("n", [4, 8, 16, 32, 45, 128])
@pytest.mark.parametrize("op", ["maximum", "minimum"])
def test_extremes_agree(op: str, n: int) -> None:
    rng = np.random.default_rng(0)
    edges = np.array([0x00000000, 0x80000000, 0x7FC00000, 0x7FA00000, 0xFF800001, 0x7F800000, 0xFF800000, 1, 0x80000001], np.uint32)
    x = rng.choice(edges, (64, n))
    for row, few in enumerate(([0, 1], [2, 3], [3, 4, 1], [3, 7], [4, 8, 6], [1, 3], [2], [3], [0, 1, 8])):
        x[row] = rng.choice(edges[few], n)
    for row in range(16, 64):
        x[row] = edges[3]
        x[row, (2 * row - 7) % n] = 0x3F800000  # one number, anywhere among signalling NaNs
    agree(FOLD.format(op=op, n=n), x.view(np.float32).ravel(), np.zeros(64, np.float32))


def test_they_take_one_instruction_where_there_is_one() -> None:
    text = CPU.compile(parse(FOLD.format(op="maximum", n=128)), Options()).text["llvm"]
    wide = CPU.machine.vector_bytes == 64 and "+avx512dq" in CPU.machine.features
    assert ("avx512.mask.range" in text) == wide
    assert (text.count("maximumnum") == 0) == wide  # down to the last two


def test_a_fold_for_the_place_of_the_largest_waits_for_one_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    """That of what was read with itself is done before, and masks the one with the largest so far; the other way around takes 1.4 times
    as long."""
    if "+avx512vl" not in CPU.machine.features:
        pytest.skip("comparisons under a mask are AVX-512's")
    argmax_kernel.show(tl.float32, tl.int64, 1024, BLOCK=1024, stage="asm", backend="cpu")
    masked = re.findall(r"vcmp(\w+)ps\t.*zmm.*\{%k\d\}", capsys.readouterr().out)
    assert len(masked) > 2 and set(masked) == {"nle"}, masked
