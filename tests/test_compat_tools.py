"""What `triton.tools` offers: descriptors whose slices have nothing beside them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tiledsl.compat import triton  # noqa: E402  its tools are made for tensors
from tiledsl.compat.triton import language as tl  # noqa: E402
from tiledsl.compat.triton.tools.ragged_tma import (  # noqa: E402
    atomic_add_ragged,
    create_ragged_descriptor,
    load_ragged,
    store_ragged,
)


@triton.jit
def move(X, Y, x_off, y_off, size, row):
    data = load_ragged(X, x_off, size, [row, 0])
    store_ragged(Y, y_off, size + 1, [0, 0], data)
    atomic_add_ragged(Y, y_off, size, [0, 0], data)


@triton.jit
def move_middle(X, Y, x_off, y_off, size, page, AXIS: tl.constexpr):
    data = load_ragged(X, x_off, size, [page, 0, 0], ragged_dim=AXIS)
    store_ragged(Y, y_off, size, [page, 0, 0], data, ragged_dim=AXIS)


@pytest.mark.parametrize("backend", ["cpu", "interpreter"])
@pytest.mark.parametrize("row", [0, -1, 2])
def test_slices_of_rows_are_read_and_written_alone(backend: str, row: int) -> None:
    x = torch.arange(1, 16 * 8 + 1, dtype=torch.float32).reshape(16, 8)
    y = -x
    move[(1,)](create_ragged_descriptor(x, [8, 8]), create_ragged_descriptor(y, [8, 8]), 3, 5, 4, row, backend=backend)
    piece = torch.zeros(8, 8)
    for i in range(8):
        if 0 <= i + row < 4:
            piece[i] = x[3 + i + row]
    expected = -x
    expected[5:10] = piece[:5]  # a slice of five rows, the last of which nothing is added to
    expected[5:9] += piece[:4]
    assert torch.equal(y, expected)


def test_the_ragged_axis_may_be_the_middle_one() -> None:
    x = torch.arange(1, 2 * 8 * 16 + 1, dtype=torch.int32).reshape(2, 8, 16)
    y = torch.zeros_like(x)
    made = [create_ragged_descriptor(t, [1, 4, 16], ragged_dim=-2) for t in (x, y)]
    move_middle[(1,)](*made, 2, 4, 3, 1, AXIS=1)
    expected = torch.zeros_like(x)
    expected[1, 4:7] = x[1, 2:5]
    assert torch.equal(y, expected)


def test_the_last_axis_is_not_ragged() -> None:
    with pytest.raises(AssertionError, match="before the last of 2"):
        create_ragged_descriptor(torch.zeros(8, 8), [8, 8], ragged_dim=1)
