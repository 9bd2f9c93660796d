"""What ends a program goes in parts; how many iterations overlap can be chosen: the bits stay, the cycles change."""

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


def both(run):
    """What a function of a backend's name gives on the interpreter and on npu is the same; what npu's launch returned."""
    (expected, _), (found, handle) = run("interpreter"), run("npu")
    assert expected.tobytes() == found.tobytes()
    return handle


@tiledsl.jit
def product(out, a, b, rows, k, ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr):
    i, j = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS)[None, :]
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for start in range(0, k, DEPTH):
        depth = start + tl.arange(0, DEPTH)
        left = tl.load(a + i * k + depth[None, :], mask=(i < rows) & (depth[None, :] < k), other=0.0)
        right = tl.load(b + depth[:, None] * COLUMNS + j, mask=depth[:, None] < k, other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    bias = tl.load(b + j)
    tl.store(out + i * COLUMNS + j, tl.maximum(total * 0.5 + bias, -1.0).to(out.dtype.element_ty), mask=i < rows)


def launched(backend, k, rows=200, dtype=np.float32, **options):
    rng = np.random.default_rng(k)
    a, b = (rng.standard_normal(shape, np.float32).astype(dtype) for shape in ((rows, max(k, 1)), (max(k, 1), 256)))
    out = np.full((rows, 256), 7, dtype)
    handle = product[(-(-rows // 128),)](out, a, b, rows, k, ROWS=128, COLUMNS=256, DEPTH=32, backend=backend, **options)
    return out, handle


@pytest.mark.parametrize("k", [0, 32, 40, 64, 96, 128, 200])
def test_the_last_store_of_a_program_goes_in_parts(k):
    """On every way out of the loop, and where it does not run at all; rows that no program has, too."""
    handle = both(lambda backend: launched(backend, k))
    words = handle.asm["asm"].split("\n")
    stores, products = (sum(word.startswith(name) for word in words) for name in ("dst", "mm"))
    assert stores == 4 * 4 and products > 12, "four ways out, and four parts on each"


def test_stages_bound_how_many_iterations_overlap():
    cycles = {}
    for stages in (None, 1, 2, 3, 7):
        handle = both(lambda backend, stages=stages: launched(backend, 200, 128, np.float16, num_stages=stages))
        cycles[stages] = handle.report.cycles
    assert cycles[1] > 1.2 * cycles[2]
    assert cycles[2] != cycles[3] == cycles[7] == cycles[None]


def test_more_stages_than_there_are_change_nothing():
    """What Triton's default says is what happens anyway: the same key, and nothing is compiled again."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, np.float32) for shape in ((128, 256), (128, 32), (32, 256))]
    handles = [
        product[(1,)](*arrays, 128, 32, ROWS=128, COLUMNS=256, DEPTH=32, backend="npu", **given) for given in ({}, {"num_stages": 3})
    ]
    assert handles[0].kernel is handles[1].kernel


def test_stages_are_numbers():
    with pytest.raises(tiledsl.errors.LaunchError, match="`num_stages` is 'many'"):
        launched("npu", 32, num_stages="many")
