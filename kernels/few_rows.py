"""A row or a few times a matrix, as when a model answers word by word: the matrix is read once, so memory is what counts.

How things are summed follows from shapes and strides alone, so that the bits are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import tiledsl
import tiledsl.language as tl

from .arrays import empty, strides
from .blocks import machine_of
from .epilogue import activate

SHARES = 16  # of k, where columns are read across: each program reads rows of b on end
LARGE = 1 << 24  # bytes of a matrix that no cache holds
FEW = 4  # rows, where columns follow each other in memory; fewer of what is widened anew for each row
TOGETHER, SUMS = 8, 16  # steps of k at a time across and along the columns
WIDEST = 4096  # columns of a block


@tiledsl.jit
def across_kernel(
    a, b, parts, N, K, a_column, b_row, b_column,
    SUM: tl.constexpr, SHARES: tl.constexpr, BLOCK: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    """The sums of one share of k, for a block of columns; several rows of b are read side by side."""
    share, columns = tl.program_id(1), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = tl.cdiv(tl.cdiv(K, SHARES), TOGETHER) * TOGETHER
    first, last, even = share * size, tl.minimum(share * size + size, K), K // TOGETHER * TOGETHER
    total = tl.zeros((BLOCK,), dtype=SUM)
    for start in range(first, tl.minimum(last, even), TOGETHER):
        for i in tl.static_range(TOGETHER):
            right = tl.load(b + (start + i) * b_row + columns * b_column, mask=columns < N, other=0.0)
            total += tl.load(a + (start + i) * a_column).to(SUM) * right.to(SUM)
    for k in range(tl.maximum(first, even), last):
        total += tl.load(a + k * a_column).to(SUM) * tl.load(b + k * b_row + columns * b_column, mask=columns < N, other=0.0).to(SUM)
    tl.store(parts + share * N + columns, total, mask=columns < N)


@tiledsl.jit
def add_shares_kernel(parts, c, N, c_column, ACTIVATION: tl.constexpr, SHARES: tl.constexpr, BLOCK: tl.constexpr):
    """A block of columns from the sums over shares of k, added in their order."""
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < N
    total = tl.load(parts + columns, mask=inside)
    for share in tl.static_range(1, SHARES):
        total += tl.load(parts + share * N + columns, mask=inside)
    tl.store(c + columns * c_column, activate(total, ACTIVATION).to(c.dtype.element_ty), mask=inside)


@tiledsl.jit
def along_kernel(
    a, b, c, M, N, K, a_row, a_column, b_column, c_row, c_column,
    ACTIVATION: tl.constexpr, SUM: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """All rows of a few columns, whose elements follow each other in memory; DEPTH sums of each are added up at the end."""
    rows, columns = tl.arange(0, ROWS), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((ROWS, BLOCK, DEPTH), dtype=SUM)
    for start in range(0, K, DEPTH):
        depth = start + tl.arange(0, DEPTH)
        left = tl.load(a + rows[:, None] * a_row + depth[None, :] * a_column, mask=(rows[:, None] < M) & (depth[None, :] < K), other=0.0)
        right = tl.load(b + columns[:, None] * b_column + depth[None, :], mask=(columns[:, None] < N) & (depth[None, :] < K), other=0.0)
        total += left.to(SUM)[:, None, :] * right.to(SUM)[None, :, :]
    result = activate(tl.sum(total, axis=2), ACTIVATION).to(c.dtype.element_ty)
    tl.store(c + rows[:, None] * c_row + columns[None, :] * c_column, result, mask=(rows[:, None] < M) & (columns[None, :] < N))


def suits(a: Any, b: Any, size: int) -> bool:
    """Whether these kernels are for this product, of elements of so many bytes."""
    m, (k, n) = a.shape[0], b.shape
    return (m <= max(1, FEW * min(size, 4) // 4) and strides(b)[0] == 1) or (m == 1 and k * n * size >= LARGE)


def few_rows(a: Any, b: Any, out: Any, sums: str, total: Any, activation: str | None, launch: dict[str, Any]) -> None:
    """out = activation(a @ b), where a has few rows; sums: the name of the type to sum in, which is `total` in kernels."""
    m, (k, n) = a.shape[0], b.shape
    (a_row, a_column), (b_row, b_column), (c_row, c_column) = strides(a), strides(b), strides(out)
    if b_row == 1:
        block = max(1, machine_of(launch).vector_bytes // (8 * tiledsl.next_power_of_2(m)))  # so many sums fill half of the registers
        along_kernel[(tiledsl.cdiv(n, block),)](
            a, b, out, m, n, k, a_row, a_column, b_column, c_row, c_column, ACTIVATION=activation, SUM=total,
            ROWS=tiledsl.next_power_of_2(m), BLOCK=block, DEPTH=SUMS, **launch,
        )  # fmt: skip
        return
    parts, block = empty(out, (SHARES, n), sums), min(WIDEST, tiledsl.next_power_of_2(n))
    across_kernel[(tiledsl.cdiv(n, block), SHARES)](
        a, b, parts, n, k, a_column, b_row, b_column, SUM=total, SHARES=SHARES, BLOCK=block, TOGETHER=TOGETHER, **launch
    )
    block = min(1024, block)
    add_shares_kernel[(tiledsl.cdiv(n, block),)](parts, out, n, c_column, ACTIVATION=activation, SHARES=SHARES, BLOCK=block, **launch)
