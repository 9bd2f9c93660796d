"""The shared passes keep every result, leave their input alone, and find the blocks that kernels move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings

from tiledsl import ops, passes
from tiledsl.backend.base import Options
from tiledsl.errors import VerifyError
from tiledsl.ir.core import Block, Builder, Kernel, Value
from tiledsl.ir.parser import parse
from tiledsl.ir.query import effects
from tiledsl.ir.types import Tile, f32, i32
from tiledsl.ir.verify import verify
from tiledsl.machine import Machine
from tiledsl.memory import Buffer
from tiledsl.passes import ORDER, SHARED, pipeline
from tiledsl.passes.pipeline import Pass
from tiledsl.testing import programs
from tiledsl.testing.cases import Array, Case
from tiledsl.testing.oracle import agrees_before_and_after, run_case

ANY = Machine("any")
# narrow changes the types of parameters, and so what a launch passes; it has tests of its own
EXACT = [step for step in SHARED if step.exact and step.name != "narrow"]
STEPS = [*EXACT, Pass("hoist", passes.hoist, "also alone")]
MATMUL = (Path(__file__).parent / "files" / "run" / "matmul.tile").read_text().partition("; run")[0]


def test_the_order_is_the_one_that_the_reasons_ask_for() -> None:
    names = [step.name for step in SHARED]
    assert len(set(names)) == len(names)
    for first, second, reason in ORDER:
        assert names.index(first) < names.index(second), reason
    assert all(step.reason for step in SHARED)


# --- every pass


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_pass_keeps_every_value(step: Pass) -> None:
    @settings(max_examples=examples(15))
    @given(programs.cases())
    def holds(case: Case) -> None:
        agrees_before_and_after(case, [step])

    holds()


@settings(max_examples=examples(30))
@given(programs.cases())
def test_the_exact_passes_together_keep_every_value(case: Case) -> None:
    agrees_before_and_after(case, EXACT)


@settings(max_examples=examples(30))
@given(programs.kernels())
def test_sharing_hoisting_and_dropping_dead_ops_find_nothing_more_the_second_time(kernel: Kernel) -> None:
    for step in (passes.common, passes.hoist, passes.dead):
        once = step(kernel, ANY)
        assert repr(step(once, ANY)) == repr(once)


@settings(max_examples=examples(30))
@given(programs.kernels())
def test_lowered_kernels_can_be_written_and_read(kernel: Kernel) -> None:
    text = repr(pipeline.run(kernel, SHARED, ANY, verify=True))
    assert repr(parse(text)) == text


@settings(max_examples=examples(30))
@given(programs.kernels())
def test_no_pass_adds_or_drops_an_access_that_writes(kernel: Kernel) -> None:
    kernel = passes.simplify(kernel, ANY)  # which may drop a branch, or a store whose mask never holds

    def count(k: Kernel) -> int:
        return sum(op.spec.effect == "write" for op in k.body.walk())

    for step in (passes.common, passes.dead, passes.hoist, passes.blocks):
        assert count(step(kernel, ANY)) == count(kernel)


# --- blocks


def of(spec: object, kernel: Kernel) -> int:
    return sum(op.spec is spec for op in kernel.body.walk())


def test_a_matmul_moves_blocks_and_carries_scalar_pointers() -> None:
    kernel = pipeline.run(parse(MATMUL), SHARED, ANY, verify=True)
    assert (of(ops.load, kernel), of(ops.store, kernel)) == (0, 0)
    assert (of(ops.load_block, kernel), of(ops.store_block, kernel)) == (2, 1)
    (loop,) = (op for op in kernel.body.walk() if op.spec is ops.for_)
    assert [str(v.type) for v in loop.results] == ["f32[8,8]", "*f32", "*f32"]
    assert {op.spec.name for op in loop.blocks[0].ops} <= {"sub", "cast", "load_block", "dot", "offset", "yield"}


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matmul_with_ragged_edges_gives_the_same_bits(transposed: bool) -> None:
    m, n, k = 13, 9, 10
    random = np.random.default_rng(0)
    a = random.standard_normal((m, k)).astype(np.float32)
    b = random.standard_normal((k, n)).astype(np.float32)
    strides_of_b = (1, k) if transposed else (n, 1)
    stored_b = np.ascontiguousarray(b.T if transposed else b)
    arrays = [Array(name, f32, x.reshape(-1)) for name, x in (("a", a), ("b", stored_b), ("c", np.zeros((m, n), np.float32)))]
    case = Case(parse(MATMUL), (2, 2, 1), (*arrays, m, n, k, k, 1, *strides_of_b, n, 1))
    agrees_before_and_after(case, EXACT)
    found = run_case(case)[2].reshape(m, n)
    np.testing.assert_allclose(found, a.astype(np.float64) @ b, rtol=1e-5, atol=1e-6)


def test_places_in_the_source_survive() -> None:
    before = parse(MATMUL, "matmul.tile")
    stored = next(op.loc for op in before.body.walk() if op.spec is ops.store)
    after = pipeline.run(before, SHARED, ANY)
    assert next(op.loc for op in after.body.walk() if op.spec is ops.store_block) == stored
    assert all(op.loc is not None for op in after.body.walk())


# --- the pipeline


def add_kernel(number: float) -> Kernel:
    pointer = parse("kernel @k(%p: *f32) {\n}").body.args[0]
    build = Builder(Block([pointer]))
    x = build.emit(ops.load, pointer)
    y = build.emit(ops.add, x, build.emit(ops.constant, value=number, type=Tile(f32)))
    build.emit(ops.store, pointer, y)
    return Kernel("add", build.block)


def wrong(kernel: Kernel, machine: Machine) -> Kernel:
    return add_kernel(2.0)


def test_bisecting_names_the_pass_that_changes_the_result() -> None:
    x = np.zeros(4, np.float32)
    buffers = [Buffer(x.ctypes.data, x.nbytes, f32, True, x, "x")]
    steps = [SHARED[0], Pass("wrong", wrong, "to be found"), SHARED[1]]
    assert pipeline.bisect(add_kernel(1.0), steps, ANY, (1,), buffers) == "wrong"
    assert pipeline.bisect(add_kernel(1.0), SHARED, ANY, (1,), buffers) is None
    assert not x.any()


def broken(kernel: Kernel, machine: Machine) -> Kernel:
    lost = Value(Tile(i32), "lost")
    build = Builder(Block())
    build.emit(ops.neg, lost)
    return Kernel("broken", build.block)


def test_verifying_names_the_pass_that_broke_the_kernel() -> None:
    with pytest.raises(VerifyError, match="after the pass `broken`: neg: operand %lost"):
        pipeline.run(add_kernel(1.0), [Pass("broken", broken, "")], ANY, verify=True)


def test_stages_stop_and_options() -> None:
    kernel = add_kernel(1.0)
    names = [step.name for step in SHARED]
    assert [name for name, _ in pipeline.stages(kernel, SHARED, ANY)] == ["input", *names]
    unfused = [name for name, _ in pipeline.stages(kernel, SHARED, ANY, Options(enable_fp_fusion=False))]
    assert unfused == ["input", *(name for name in names if name != "contract")]
    stopped = pipeline.run(kernel, [SHARED[0], Pass("wrong", wrong, "")], ANY, stop_after=SHARED[0].name)
    assert repr(stopped) == repr(passes.simplify(kernel, ANY))


def test_showing_prints_the_kernel_after_the_named_passes(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run(add_kernel(1.0), SHARED, ANY, show=("dead",))
    shown = capsys.readouterr().err
    assert shown.startswith("; add after dead\nkernel @add(") and shown.count("; add after") == 1


def test_a_kernel_without_effects_is_empty_in_the_end() -> None:
    kernel = pipeline.run(parse("kernel @k(%p: *f32) {\n  %x: f32 = load %p\n  %y: f32 = exp %x\n}"), SHARED, ANY)
    assert kernel.body.ops == []
    verify(kernel)
    assert not any(effects(op) for op in kernel.body.ops)
