"""Stores past the caches write what ordinary ones do, wherever they begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from cpu_kernels import CPU, agree, sample

from tiledsl.backend.base import Buffer, Options
from tiledsl.ir.parser import parse
from tiledsl.ir.types import DType, bf16, f32, f64, i1, u8

COPY = """kernel @copy(%x: *{T}, %y: *{T}, %lo: i64, %hi: i64) {{
  %one: i64 = constant {{value=1, type=i64}}
  %row: i64 = constant {{value={n}, type=i64}}
  %p: i32 = program_id {{axis=0}}
  %q: i64 = cast %p {{to=i64}}
  %two: i64 = constant {{value=2, type=i64}}
  %rows: i64 = mul %row, %two
  %at: i64 = mul %q, %rows
  %xp: *{T} = offset %x, %at
  %yp: *{T} = offset %y, %at
  %a: {T}[2,{n}] = load_block %xp, %row, %one, %lo, %hi {{shape=[2,{n}], checked=[1], masked=false, filled=false}}
  store_block %yp, %a, %row, %one, %lo, %hi {{checked=[1], masked=false}}
}}
"""


@pytest.fixture(params=[16, 64], ids=["short", "long"])
def streaming(request: pytest.FixtureRequest) -> Iterator[None]:
    """A processor whose caches hold nothing."""
    before = CPU.machine
    CPU.machine = before.but(vector_bytes=min(before.vector_bytes, request.param), streams=1)
    yield
    CPU.machine = before


@pytest.mark.parametrize("dtype", [f32, f64, bf16, u8, i1], ids=str)
@pytest.mark.parametrize("n", [2048, 2055])
def test_they_agree(streaming: None, dtype: DType, n: int) -> None:
    for start, lo, hi in ((0, 0, n), (1, 0, n), (5, 3, n - 2), (3, 7, 9), (0, 40, 40), (2, -5, n + 9)):
        x, y = sample(dtype, 4 * n + 8), np.zeros(4 * n + 8, dtype.storage)
        agree(COPY.format(T=dtype, n=n), x[start:], y[start:], lo, hi, grid=(2,))


def test_they_are_in_the_code(streaming: None) -> None:
    for n, expected in ((2048, True), (64, False)):
        text = CPU.compile(parse(COPY.format(T=f32, n=n)), Options()).text["llvm"]
        assert ("!nontemporal !0\n" in text) == expected


LOOP = """kernel @loop(%x: *f32, %y: *f32, %first: i64, %last: i64) {
  %one: i64 = constant {value=1, type=i64}
  %row: i64 = constant {value=2048, type=i64}
  for %first, %last, %one {
  ^(%i: i64):
    %at: i64 = mul %i, %row
    %xp: *f32 = offset %x, %at
    %yp: *f32 = offset %y, %at
    %a: f32[2048] = load_block %xp, %one {shape=[2048], checked=[], masked=false, filled=false}
    store_block %yp, %a, %one {checked=[], masked=false}
    yield
  }
}
"""


def test_what_a_loop_writes_adds_up_unless_it_writes_to_one_place() -> None:
    """One program that goes through all rows writes as much as a program for each."""
    before = CPU.machine
    CPU.machine = before.but(streams=3 * 4 * 2048)
    try:
        x, y = sample(f32, 4 * 2048 + 8), np.zeros(4 * 2048 + 8, np.float32)
        for rows in (1, 4):
            agree(LOOP, x[3:], y[3:], 0, rows)
        for text, expected in ((LOOP, True), (LOOP.replace("offset %y, %at", "offset %y, %row"), False)):
            found = re.findall(r"(%v\d+) = or i1 %v\d+, %v\d+", CPU.compile(parse(text), Options()).text["llvm"])
            assert bool(found) == expected
            agree(text, x, y, 0, 4)
    finally:
        CPU.machine = before


def test_elements_that_cannot_be_aligned(streaming: None) -> None:
    x = np.arange(2 * 2048, dtype=np.float32)
    raw = np.zeros(4 * x.size + 64, np.uint8)
    bound = [Buffer(x.ctypes.data, x.nbytes, f32, False, x, "x"), Buffer(raw.ctypes.data + 2, 4 * x.size, f32, True, raw, "y"), 3, 2000]
    CPU.launch(CPU.compile(parse(COPY.format(T=f32, n=2048)), Options()), (1, 1, 1), bound, Options(num_threads=1))
    found = np.frombuffer(raw[2:].tobytes()[: 4 * x.size], np.float32).reshape(2, 2048)
    inside = (np.arange(2048) >= 3) & (np.arange(2048) < 2000)
    assert np.array_equal(found, np.where(inside, x.reshape(2, 2048), 0))


def test_what_takes_longer_to_compute_than_to_write_stays_in_the_caches(streaming: None) -> None:
    for count, expected in ((1, True), (40, False)):
        steps = "".join(f"  %s{i + 1}: f32[2,2048] = mul %s{i}, %s{i}\n" for i in range(count))
        text = (
            COPY.format(T=f32, n=2048)
            .replace("%a: f32", "%s0: f32")
            .replace("  store", f"{steps}  store")
            .replace("%yp, %a", f"%yp, %s{count}")
        )
        assert ("!nontemporal !0\n" in CPU.compile(parse(text), Options()).text["llvm"]) == expected
