"""Accesses outside of arrays, when debugging: refused on every backend with the user's line, before anything is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from numpy.lib.stride_tricks import as_strided

import tiledsl
import tiledsl.language as tl
from tiledsl import messages
from tiledsl.backend import registry
from tiledsl.backend.base import Buffer, Options
from tiledsl.errors import AssertionFailed, MemoryFault, WaitError
from tiledsl.interpreter import interpret
from tiledsl.ir.parser import parse
from tiledsl.ir.types import f32, i64
from tiledsl.machine import Machine
from tiledsl.memory import spans_of
from tiledsl.passes import pipeline
from tiledsl.passes.bounds import bounds
from tiledsl.testing.cases import Case, bind
from tiledsl.testing.oracle import backends, explain, run_case
from tiledsl.testing.programs import cases

GUARD = 64  # elements around an array that nothing may touch
RUNS = [("interpreter", 1), ("cpu", 1), ("cpu", 2), *[(name, 1) for name in backends() if name not in ("interpreter", "cpu")]]


@tiledsl.jit
def reads(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    inside = i < n
    tl.store(out + i, tl.load(x + first + i, mask=inside, other=7.0), mask=inside)


@tiledsl.jit
def writes(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(out + first + i, tl.load(x + i, mask=i < 100), mask=i < n)


@tiledsl.jit
def writes_all(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * 50 + tl.arange(0, 50)
    tl.store(out + first + i, tl.load(x + i))


@tiledsl.jit
def gathers(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    at = tl.load(y + i, mask=i < n, other=0)
    tl.store(out + i, tl.load(x + at + first * (i == 3)), mask=i < n)


@tiledsl.jit
def scatters(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    at = tl.load(y + i, mask=i < n, other=0)
    tl.store(out + at + first, tl.load(x + i, mask=i < n), mask=i < n)


@tiledsl.jit
def one_word(out, x, y, first, n, N: tl.constexpr):
    tl.store(out + first, tl.load(x + n - 1))


@tiledsl.jit
def one_read(out, x, y, first, n, N: tl.constexpr):
    tl.store(out + n - 1, tl.load(x + first))


@tiledsl.jit
def adds(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    tl.atomic_add(out + first + i, 1.0, mask=i < n)


@tiledsl.jit
def swaps(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * 50 + tl.arange(0, 50)
    tl.atomic_cas(y + first + i, tl.full([50], 0, tl.int32), tl.full([50], 1, tl.int32))


@tiledsl.jit
def locks(out, x, y, first, n, N: tl.constexpr):
    while tl.atomic_cas(y + first, 0, 1) == 1:
        pass
    tl.atomic_xchg(y + first, 0)


@tiledsl.jit
def block_reads(out, x, y, first, n, N: tl.constexpr):
    block = tl.make_block_ptr(x + first, (10, 10), (10, 1), (0, 0), (8, 16), (1, 0))
    i = tl.arange(0, 8)[:, None] * 10 + tl.arange(0, 16)[None, :]
    tl.store(out + i, tl.load(block, boundary_check=(1,)), mask=tl.arange(0, 16)[None, :] < 10)


@tiledsl.jit
def through_integers(out, x, y, first, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    address = out.to(tl.int64) + (first + i) * 4
    tl.store(address.to(tl.pointer_type(tl.float32)), tl.load(x + i, mask=i < n), mask=i < n)


@tiledsl.jit
def in_a_loop(out, x, y, first, n, N: tl.constexpr):
    at = x + first + tl.arange(0, 10)
    total = tl.zeros([10], tl.float32)
    for _ in range(10):
        total += tl.load(at)
        at += 10
    tl.store(out + tl.arange(0, 10), total)


@tiledsl.jit
def waits(out, x, y, first, n, N: tl.constexpr):
    while tl.load(y + first) == 0:
        pass


@tiledsl.jit
def put(out, first):
    tl.store(out + first, 1.0)


@tiledsl.jit
def says(out, x, y, first, n, N: tl.constexpr):
    tl.device_print("first", first)
    tl.device_assert(n == 100, "another length")
    put(out, first)


# kernel, what it does to which array, where it stays inside, and which element is the first outside when it starts elsewhere
CASES: list[tuple[Any, str, str, int, dict[int, int]]] = [
    (reads, "read", "x", 0, {5: 100, -1: -1}),
    (gathers, "read", "x", 0, {97: 100, -4: -1}),
    (one_read, "read", "x", 99, {100: 100, -1: -1}),
    (block_reads, "read", "x", 0, {23: 100, -1: -1}),
    (in_a_loop, "read", "x", 0, {5: 100, -1: -1}),
    (writes, "write", "out", 0, {5: 100, -1: -1}),
    (writes_all, "write", "out", 0, {5: 100, -1: -1}),
    (scatters, "write", "out", 0, {5: 100, -1: -1}),
    (one_word, "write", "out", 99, {100: 100, -1: -1}),
    (adds, "write", "out", 0, {5: 100, -1: -1}),
    (swaps, "write", "y", 0, {5: 100, -1: -1}),
    (locks, "write", "y", 99, {100: 100, -1: -1}),
    (through_integers, "write", "out", 0, {5: 100, -1: -1}),
]


class Launch:
    """A kernel with three arrays of 100 elements in the middle of guarded ones."""

    def __init__(self, kernel: Any, backend: str, threads: int = 1, **options: Any):
        self.kernel, self.options = kernel, {"backend": backend, "num_threads": threads, "debug": True, **options}
        self.whole = [np.zeros(100 + 2 * GUARD, t) for t in (np.float32, np.float32, np.int32)]
        self.out, self.x, self.y = (w[GUARD:-GUARD] for w in self.whole)
        self.x[:] = np.arange(100)
        self.y[:] = np.arange(100) if kernel in (gathers, scatters) else 0

    def __call__(self, first: int, n: int = 100) -> None:
        self.kernel[(2,)](self.out, self.x, self.y, first, n, N=64, **self.options)

    def fault(self, first: int) -> MemoryFault:
        with pytest.raises(MemoryFault) as caught:
            self(first)
        assert not any(w[:GUARD].any() or w[-GUARD:].any() for w in self.whole), "something was written outside"
        return caught.value


@pytest.mark.parametrize(("backend", "threads"), RUNS)
@pytest.mark.parametrize(("kernel", "verb", "name", "inside", "outside"), CASES, ids=lambda x: getattr(x, "name", ""))
def test_an_access_outside_is_an_error_with_its_line(
    kernel: Any, verb: str, name: str, inside: int, outside: dict[int, int], backend: str, threads: int
) -> None:
    Launch(kernel, backend, threads)(inside)
    for first, element in outside.items():
        fault = Launch(kernel, backend, threads).fault(first)
        assert fault.message.startswith(f"{verb} outside `{name}`: element {element} of 100")
        if backend == "npu":
            continue  # it checks by itself, and says what it knows
        reference = Launch(kernel, "interpreter").fault(first)
        assert (fault.message, fault.loc, fault.diagnostic.help) == (reference.message, reference.loc, reference.diagnostic.help)


def test_what_is_not_debugged_is_not_checked() -> None:
    arguments = (np.zeros(100, np.float32), np.zeros(100, np.float32), np.zeros(100, np.int32), 0, 100)
    stages = dict(reads.stages(*arguments, N=64, backend="cpu"))
    assert "bounds" not in stages and "messages" not in stages["final"]
    assert "bounds" in dict(reads.stages(*arguments, N=64, backend="cpu", debug=True))
    checking = tiledsl.jit(writes.fn, debug=True)
    with pytest.raises(MemoryFault, match="write outside `out`"):
        checking[(2,)](np.zeros(100, np.float32), np.zeros(100, np.float32), None, 1, 100, N=64, backend="cpu")


def test_the_variable_turns_checks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_DEBUG", "1")
    fresh = tiledsl.jit(writes.fn)
    with pytest.raises(MemoryFault, match="write outside `out`"):
        fresh[(2,)](np.zeros(100, np.float32), np.zeros(100, np.float32), None, 1, 100, N=64, backend="cpu")


def test_a_wait_for_what_lies_outside_ends_in_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "0.1")
    assert "read outside `y`: element 100 of 100" in str(Launch(waits, "cpu").fault(100))


@tiledsl.jit
def draws(out, seed):
    i = tl.arange(0, 16)
    tl.store(out + i, tl.rand(seed, i))


def test_random_numbers_are_the_same_when_debugging() -> None:
    plain, checked = np.zeros(16, np.float32), np.zeros(16, np.float32)
    draws[(1,)](plain, 2**40 + 7, backend="cpu")
    draws[(1,)](checked, 2**40 + 7, backend="cpu", debug=True)
    assert plain.any() and (plain == checked).all()


@tiledsl.jit
def waits_for_a_tile(flags):
    while tl.min(tl.load(flags + tl.arange(0, 4))) == 0:
        pass


def test_a_wait_inside_is_still_seen_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "0.1")
    with pytest.raises(WaitError):
        waits_for_a_tile[(1,)](np.zeros(4, np.int32), backend="cpu", debug=True)


def test_prints_assertions_and_faults_keep_apart(capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path))
    for kernel in (says, tiledsl.jit(says.fn)):  # the second is loaded from the cache
        fault = Launch(kernel, "cpu").fault(100)
        assert "tl.store(out + first, 1.0)" in str(fault) and "put(out, first)" in str(fault)  # and who called
        assert fault.message.startswith("write outside `out`: element 100")
        assert "pid (1, 0, 0) idx () first: 100" in capsys.readouterr().out
        with pytest.raises(AssertionFailed, match="another length"):
            Launch(kernel, "cpu")(0, 99)
        Launch(kernel, "cpu")(0)


@tiledsl.jit
def doubles(x, step, n, N: tl.constexpr):
    at = x + tl.arange(0, N) * step
    mask = tl.arange(0, N) < n
    tl.store(at, tl.load(at, mask=mask) * 2, mask=mask)


def test_views_reach_as_far_as_their_elements() -> None:
    whole = np.ones(64, np.float32)
    back = whole[40:20:-2]  # ten elements, the first at the highest address
    doubles[(1,)](back, -2, 10, N=16, backend="cpu", debug=True)
    assert (back == 2).all()
    with pytest.raises(MemoryFault, match="outside `x`"):
        doubles[(1,)](back, -2, 11, N=16, backend="cpu", debug=True)
    with pytest.raises(MemoryFault, match="outside `x`"):
        doubles[(1,)](np.zeros(0, np.float32), 1, 1, N=16, backend="cpu", debug=True)
    back[:] = 1
    assert (whole == 1).all()


def test_tensors_of_other_libraries_reach_as_far_as_they_say() -> None:
    torch = pytest.importorskip("torch")
    whole = torch.ones(64)
    doubles[(1,)](whole[8:40:2], 2, 16, N=16, backend="cpu", debug=True)
    with pytest.raises(MemoryFault, match=r"outside `x`: element 32 of 31"):
        doubles[(1,)](whole[8:40:2], 2, 17, N=32, backend="cpu", debug=True)
    whole[8:40:2] = 1
    assert (whole == 1).all()


@pytest.mark.parametrize("backend", ["interpreter", "npu"])
def test_stretched_views_reach_as_far_as_what_they_are_views_of(backend: str) -> None:
    whole = np.ones(64, np.float32)
    for view in (np.broadcast_to(whole[8:9], (4, 1)), as_strided(whole[8:], (3, 2), (0, 4))):
        reaches(view, 56, backend)


@pytest.mark.parametrize("backend", ["interpreter", "npu"])
def test_stretched_tensors_reach_as_far_as_their_storage(backend: str) -> None:
    torch = pytest.importorskip("torch")
    for view in (torch.ones(64).as_strided((1, 2), (0, 1), 8), torch.ones(64)[8:9].expand(4)):
        reaches(view, 56, backend)


def reaches(view: Any, elements: int, backend: str) -> None:
    """Whether a kernel may read so many elements from where a view begins, and none after."""
    found = np.zeros(16, np.float32)
    picked[(1,)](found, view, elements, N=16, backend=backend)
    assert (found == 1).all()
    with pytest.raises(MemoryFault, match="outside `x`: element 64 of 64"):
        picked[(1,)](found, view, elements + 1, N=16, backend=backend)


@tiledsl.jit
def picked(out, x, n, N: tl.constexpr):
    tl.store(out + tl.arange(0, N), tl.load(x + n - 1 - tl.arange(0, N)))


@tiledsl.jit
def through_a_table(table, one: tl.int64, N: tl.constexpr):
    i = tl.arange(0, N)
    other = tl.load(table).to(tl.pointer_type(tl.float32))
    tl.store(other + i, tl.load(one.to(tl.pointer_type(tl.float32)) + i) + 1.0)


def test_addresses_that_come_as_numbers_are_not_checked_on_the_cpu() -> None:
    source, target = np.arange(16, dtype=np.float32), np.zeros(16, np.float32)
    through_a_table[(1,)](np.array([target.ctypes.data]), source.ctypes.data, N=16, backend="cpu", debug=True)
    assert (target == source + 1).all()


def test_arrays_that_overlap_leave_spans_empty() -> None:
    x = np.ones(64, np.float32)
    views = [Buffer(x[i:].ctypes.data, x[i:].nbytes, f32, True, x, f"v{i}") for i in (0, 10)]
    spans = spans_of(views)
    assert len(spans) == 2 and spans[1] == (0, 0)
    kernel = parse("""kernel @f(%a: *f32, %b: *f32) {
  %x: f32 = load %b
  store %a, %x
}""")
    words = messages.empty(spans)
    checked = bounds(kernel, Machine("any"))  # the interpreter sees that it reads its table, and nothing else
    interpret(checked, (1,), [*views, Buffer(words.ctypes.data, words.nbytes, i64, True, words, "messages")])
    assert messages.outside(checked.messages, words) is None


@settings(max_examples=examples(6))
@given(cases())
def test_checks_change_no_result(case: Case) -> None:
    bound, copies = bind(case)
    expected = run_case(case)
    checked = bounds(case.kernel, Machine("any"))
    words = messages.empty(spans_of([b for b in bound if isinstance(b, Buffer)]))
    if checked is not case.kernel:
        bound = [*bound, Buffer(words.ctypes.data, words.nbytes, i64, True, words, "messages")]
    backend, options = registry.find("cpu"), Options()
    lowered = pipeline.run(checked, backend.passes, backend.machine, options=options)
    backend.launch(backend.compile(lowered, options), case.grid, bound, options)
    assert messages.outside(checked.messages, words) is None
    assert not explain(case, expected, copies, "as written", "checked")


@tiledsl.jit
def far_from_its_array(out, x, n):
    tl.store(out + tl.program_id(0), tl.load(x + tl.program_id(0) * n))


@pytest.mark.parametrize("backend", ["interpreter", "cpu"])
def test_a_fault_names_the_array_that_the_pointer_was_made_from_and_the_program(backend: str) -> None:
    whole = np.zeros(1000, np.float32)
    x, out = whole[:10], whole[500:520]
    with pytest.raises(MemoryFault) as caught:
        far_from_its_array[(4,)](out, x, 240, backend=backend, debug=True, num_threads=1)
    assert (
        caught.value.message == "read outside `x`: element 240 of 10" and "program (1, 0, 0) of (4, 1, 1)" in caught.value.diagnostic.notes
    )
    with pytest.raises(MemoryFault) as caught:
        far_from_its_array[(1,)](out[5:5], x, 480, backend=backend, debug=True)
    assert "write outside `out`: element 0 of 0" in caught.value.message and not caught.value.diagnostic.notes
