"""The fast simulator equals the reference interpreter: instruction by instruction, in values, traps and traces."""

import itertools

import numpy as np
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_npu_machine import SETUP, SMALL, instructions

from tiledsl.backend.base import Options
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.isa import alu
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.state import DTYPE_NAMES, DTYPE_OF, Core, TileDescriptor, Trap
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.fast import FastCore, load
from tiledsl.backends.npu.simulator.run import decode, run
from tiledsl.backends.npu.simulator.trace import Recorder, Trace
from tiledsl.backends.npu.timing import Prices
from tiledsl.errors import MemoryFault
from tiledsl.ir.parser import parse
from tiledsl.ir.types import bf16, f32
from tiledsl.memory import Buffer, Memory
from tiledsl.passes import pipeline
from tiledsl.testing import cases, oracle, programs

SPM, ACC = 16384, 4096
MACHINE = SMALL.but(spm_bytes=SPM, acc_bytes=ACC, watchdog=2000, descriptor_elements=1 << 16)


class Run:
    """One way of running words on memories: what it leaves, what it raises, what it traces."""

    def __init__(self, words, fast, memories=None, arrays=(), machine=MACHINE, arguments=(), patience=0):
        program = decode(words)
        before = [a.copy() for a in arrays]
        buffers = [Buffer(a.ctypes.data, a.nbytes, DTYPE_OF[0], True, a, f"x{i}") for i, a in enumerate(arrays)]
        addresses = [b.address for b in buffers] + list(arguments)
        self.error, self.pieces = "", []
        if fast:
            core = FastCore(machine, patience)
            core.attach(load(program, machine), Memory(buffers), addresses, (1, 1, 1))
        else:
            core = Core(machine, Memory(buffers), addresses, (0, 0, 0), (1, 1, 1))
            recorder = Recorder()
        for mine, given_bytes in zip(core.memories, memories or (), strict=False):
            mine[:] = given_bytes
        try:
            self.issued = core.run(0, (0, 0, 0), self.keep) if fast else run(core, program, recorder)
        except (Trap, MemoryFault) as error:
            self.error, self.issued = str(error), -1
        self.memories, self.pc = core.memories, core.pc
        self.r = core.words[:32].tolist() if fast else core.r
        if not fast:
            self.pieces = [recorder.trace()]
        self.arrays = [a.copy() for a in arrays]  # both runs find the same addresses, and the same values there
        for a, kept in zip(arrays, before, strict=True):
            a[:] = kept

    def keep(self, piece):
        self.pieces.append(Trace(piece.program, piece.steps.copy(), piece.tiles.copy(), piece.boxes.copy(), piece.whole))


def same_trace(one, other):
    """Row by row, descriptors compared as what they say; pieces are put together."""
    rows = []
    for pieces in (one.pieces, other.pieces):
        shown = []
        for piece in pieces:
            tiles = [piece.tile(i) for i in range(len(piece.tiles))]
            boxes = [piece.box(i) for i in range(len(piece.boxes))]
            for step in piece.steps:
                named = tuple(tiles[t] if t >= 0 else None for t in step["tiles"])
                box = boxes[step["box"]] if step["box"] >= 0 else None
                shape = None if box is None else (box.dtype, box.extents, box.strides, box.valid, box.fill)
                shown.append((int(step["pc"]), int(step["done"]), named, shape, int(step["touched"])))
        rows.append(shown)
    assert rows[0] == rows[1]


def agree(words, memories=None, arrays=(), to=None, **settings_):
    """Run words both ways; what they leave is equal, but for the sign and payload of NaNs in the tile `to`."""
    one, other = (Run(words, fast, memories, arrays, **settings_) for fast in (False, True))
    assert (one.error, one.issued, one.pc) == (other.error, other.issued, other.pc)
    if one.error:
        return one
    assert one.r == other.r
    same_trace(one, other)
    if to is not None:
        window, again = (np.ndarray(to.extents, to.dtype.storage, run.memories[to.space], to.base, to.strides) for run in (one, other))
        assert oracle.same_bits(to.dtype, window, again).all(), f"{window}, {again}"
        again[...] = window
    for x, y in zip((*one.memories, *one.arrays), (*other.memories, *other.arrays), strict=True):
        assert (x.view(np.uint8) == y.view(np.uint8)).all()
    return one


# --- any words at all


@settings(max_examples=examples(150))
@given(st.lists(instructions(), max_size=20), st.booleans())
def test_whatever_the_words_both_do_the_same(words, setup):
    fast = [*T1.assemble(SETUP if setup else ""), *words, T1.encode("halt")]
    agree(fast, machine=SMALL, arguments=[1, 2, 3], patience=3)


# --- one instruction on tiles of any layout


@st.composite
def tiles(draw, shape, dtype, base, can_repeat=True):
    """A descriptor of a shape: dense, transposed, padded, backwards or repeated."""
    order = draw(st.permutations(range(len(shape))))
    strides, step = [0] * len(shape), dtype.itemsize
    for axis in order:
        strides[axis] = step
        step *= shape[axis] + draw(st.integers(0, 2))
    if can_repeat and shape and draw(st.booleans()):
        strides[draw(st.integers(0, len(shape) - 1))] = 0
    if shape and draw(st.integers(0, 4)) == 0:
        axis = draw(st.integers(0, len(shape) - 1))
        base, strides[axis] = base + strides[axis] * (shape[axis] - 1), -strides[axis]
    return TileDescriptor(0, dtype, base, tuple(shape), tuple(strides))


def setting(number, t):
    """Words that set a descriptor register."""
    words = [T1.encode("tset", number, t.space, DTYPE_NAMES.index(t.dtype.name), t.base)]
    return words + [T1.encode("tdim", number, e, s) for e, s in zip(t.extents, t.strides, strict=True)]


def noise(seed):
    """Bytes that make likely numbers, and special ones, of every type."""
    rng = np.random.default_rng(seed)
    spm = rng.integers(0, 256, SPM, np.uint8)
    for start in range(0, SPM, 512):
        kind = rng.integers(0, 4)
        part = spm[start : start + 256]
        if kind == 0:
            part[:] = rng.standard_normal(64).astype(np.float32).view(np.uint8)
        elif kind == 1:
            part[:] = rng.choice(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -3e38, 1e-40], np.float32), 64).view(np.uint8)
        elif kind == 2:
            part[:] = rng.integers(-5, 5, 256, np.int8).view(np.uint8)
    return spm, rng.integers(0, 256, ACC, np.uint8)


ONE_BY_ONE = [one for one in T1.by_name.values() if one.unit in "VX" and one.name not in ("sort", "nop")]
BASES = (0, 4096, 8192, 12288)


@settings(max_examples=examples(250))
@given(st.data())
def test_one_instruction_on_any_tiles(data):
    one = data.draw(st.sampled_from(ONE_BY_ONE))
    shape = (*data.draw(st.lists(st.integers(1, 5), max_size=3)), *data.draw(st.lists(st.sampled_from([1, 3, 16, 33, 70]), max_size=1)))
    kind = DTYPE_OF[data.draw(st.integers(0, 12))]
    fixed = {label: data.draw(st.integers(0, len(w.names) - 1 if w.names else 1)) for label, w in one.fields if w.names or w.bits == 1}
    axis = data.draw(st.integers(0, max(len(shape) - 1, 0)))
    named = [label for label, w in one.fields if w.prefix == "t"]
    kinds, shapes = dict.fromkeys(named, kind), dict.fromkeys(named, shape)
    if one.name == "vec2":
        kinds["to"] = alu.result_type(alu.BINARY[fixed["op"]], kind)
    if one.name == "vec3" and alu.TERNARY[fixed["op"]] == "select":
        kinds["a"] = DTYPE_OF[0]
    if one.name == "vcast":
        kinds["a"] = DTYPE_OF[data.draw(st.integers(0, 12))]
    if one.name == "vaddr":
        kinds["to"] = kinds["a"] = DTYPE_OF[4]
    if one.name == "reduce" and shape:
        shapes["to"] = (*shape[:axis], 1, *shape[axis + 1 :])
    if one.name == "perm" and shape:
        kinds["index"] = DTYPE_OF[data.draw(st.sampled_from([1, 3, 4, 7]))]
        shapes["a"] = (*shape[:axis], data.draw(st.integers(1, 5)), *shape[axis + 1 :])
    if one.name == "hist":
        shapes = {"to": (7,), "a": (40,), "mask": (40,)}
        kinds |= {"to": DTYPE_OF[3], "mask": DTYPE_OF[0]}
    words, made = [], {}
    for number, label in enumerate(named):
        made[label] = data.draw(tiles(shapes[label], kinds[label], BASES[number], can_repeat=label != "to"))
    if len(named) > 1 and shapes["to"] == shapes["a"] and kinds["to"].itemsize == kinds["a"].itemsize and data.draw(st.integers(0, 3)) == 0:
        to = made["to"]
        made["a"] = TileDescriptor(0, kinds["a"], to.base + data.draw(st.sampled_from([0, 0, kind.itemsize])), to.extents, to.strides)
    for number, label in enumerate(named):
        words += setting(number, made[label])
    words += T1.assemble("movi r1, #-77\nmovi r2, #3")
    operands = []
    for label, where in one.fields:
        if label in made:
            operands.append(named.index(label))
        else:
            operands.append(fixed.get(label, axis if label == "axis" else 1 if where.prefix == "r" else 5))
    words += [T1.encode(one.name, *operands), T1.encode("halt")]
    agree(words, noise(data.draw(st.integers(0, 99))), to=made["to"])


@pytest.mark.parametrize("kind", ["f32", "f16", "f64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_folds_keep_their_order_whatever_the_length(kind, axis):
    """Sums that round differently in any other order."""
    dtype = DTYPE_OF[DTYPE_NAMES.index(kind)]
    for length in (2, 31, 32, 33, 64, 100):
        extents = (length, 17) if axis == 0 else (3, length)
        values = np.random.default_rng(length).standard_normal(extents) * 10.0 ** np.random.default_rng(1).integers(-2, 3, extents)
        spm = np.zeros(1 << 16, np.uint8)
        spm[: values.size * dtype.itemsize] = dtype.round(values).astype(dtype.storage).view(np.uint8).ravel()
        of = TileDescriptor(0, dtype, 0, extents, (extents[1] * dtype.itemsize, dtype.itemsize))
        for name, to in (("reduce", tuple(1 if a == axis else e for a, e in enumerate(extents))), ("scan", extents)):
            target = TileDescriptor(0, dtype, 1 << 15, to, (to[1] * dtype.itemsize, dtype.itemsize))
            operands = (0, 0, 1, axis) if name == "reduce" else (0, 0, 0, 1, axis)
            words = [*setting(0, target), *setting(1, of), T1.encode(name, *operands), T1.encode("halt")]
            agree(words, (spm, np.zeros(ACC, np.uint8)), to=target, machine=MACHINE.but(spm_bytes=1 << 16))


@settings(max_examples=examples(60))
@given(st.data())
def test_products_of_any_tiles(data):
    m, k, n = (data.draw(st.sampled_from([1, 2, 5, 8, 16])) for _ in range(3))
    pairs = ["f32 f32", "bf16 f32", "f16 f32", "i8 i32", "u8 i32", "f64 f64", "i8 f32"]
    kind, to = data.draw(st.sampled_from(pairs)).split()
    kind, to = DTYPE_OF[DTYPE_NAMES.index(kind)], DTYPE_OF[DTYPE_NAMES.index(to)]
    a, b = data.draw(tiles((m, k), kind, 0)), data.draw(tiles((k, n), kind, 4096))
    c = TileDescriptor(1, to, 0, (m, n), (n * to.itemsize, to.itemsize))
    words = [*setting(0, c), *setting(1, a), *setting(2, b), T1.encode("mm", 0, 1, 2), T1.encode("halt")]
    spm, acc = noise(data.draw(st.integers(0, 99)))
    acc[:] = 0
    agree(words, (spm, acc), to=c)


@settings(max_examples=examples(120))
@given(st.data())
def test_transfers_of_any_boxes(data):
    """With bounds, masks, fills and strides, inside the buffer and outside."""
    kind = DTYPE_OF[data.draw(st.integers(0, 12))]
    shape = tuple(data.draw(st.lists(st.integers(1, 5), max_size=2))) + (data.draw(st.sampled_from([1, 4, 40])),)
    code, loads = DTYPE_NAMES.index(kind.name), data.draw(st.booleans())
    masked, addressed = data.draw(st.booleans()), data.draw(st.booleans())
    tile = data.draw(tiles(shape, kind, 0, can_repeat=not loads))
    mask = data.draw(tiles(shape, DTYPE_OF[0], 8192))
    number = {True: 2, False: 255}[masked]
    x = np.random.default_rng(1).integers(0, 256, 2048, np.uint8)
    words = [*setting(0, tile), *setting(2, mask), *T1.assemble("arg r1, #0")]
    if addressed:
        where = TileDescriptor(0, DTYPE_OF[4], 4096, shape, ())
        strides = tuple(8 * int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        where = TileDescriptor(0, DTYPE_OF[4], 4096, shape, strides)
        index = TileDescriptor(0, DTYPE_OF[1], 12288, shape, tuple(s // 8 for s in strides))
        base = TileDescriptor(0, DTYPE_OF[4], 4096, shape, strides)
        words += [*setting(1, where), *setting(3, index), *setting(4, base), *T1.assemble("arg r3, #0\nvfill t4, r3")]
        words += T1.assemble(f"vaddr t1, t4, t3, #{data.draw(st.sampled_from([0, 1, 4]))}")
        words += [T1.encode("dgat", data.draw(st.integers(0, 1)), 0, 1, number) if loads else T1.encode("dscat", 1, 0, number)]
    else:
        words += T1.assemble(f"movi r2, #{data.draw(st.integers(0, 400))}\naddr r1, r1, r2, #1")
        words += [T1.encode("gset", 0, code, 1)]
        for axis, extent in enumerate(shape):
            step = data.draw(st.sampled_from([kind.itemsize, 4, 16, -8, 0, 200]))
            words += [*T1.assemble(f"movi r4, #{step}"), T1.encode("gdim", 0, 4, extent)]
            if data.draw(st.booleans()):
                low, high = data.draw(st.integers(-2, 3)), data.draw(st.integers(-1, extent + 2))
                words += [*T1.assemble(f"movi r5, #{low}\nmovi r6, #{high}"), T1.encode("gbox", 0, axis, 5, 6)]
        words += T1.assemble("movi r7, #-3\ngfill g0, r7") if data.draw(st.booleans()) else []
        words += [T1.encode("dld", data.draw(st.integers(0, 1)), 0, 0, number) if loads else T1.encode("dst", 0, 0, number)]
    words += [T1.encode("halt")]
    spm, acc = noise(data.draw(st.integers(0, 99)))
    spm[12288:13000] &= 0x3F
    if kind is bf16 and not loads:
        spm[:4096].view(np.uint16)[:] &= 0xBFFF  # no NaN: the reference may store another one
    agree(words, (spm, acc), [x, x], to=tile if loads and len(set(tile.strides)) == len(shape) else None)


@settings(max_examples=examples(80))
@given(st.data())
def test_atomics_in_order(data):
    kind = DTYPE_OF[data.draw(st.sampled_from([3, 4, 7, 9, 10, 11, 12]))]
    count = data.draw(st.sampled_from([1, 5, 40]))
    t = [TileDescriptor(0, d, 4096 * i, (count,), (d.itemsize,)) for i, d in enumerate([kind, DTYPE_OF[4], kind, DTYPE_OF[0]])]
    index = TileDescriptor(0, DTYPE_OF[1], 3000, (count,), (1,))
    words = [w for i, one in enumerate(t) for w in setting(i, one)] + setting(4, index)
    words += T1.assemble(f"arg r3, #0\nvfill t1, r3\nvaddr t1, t1, t4, #{kind.itemsize}")
    if data.draw(st.booleans()):
        words += [T1.encode("datom", data.draw(st.integers(0, 6)), 0, 1, 2, data.draw(st.sampled_from([3, 255])))]
    else:
        words += [*setting(5, TileDescriptor(0, kind, 2048, (count,), (kind.itemsize,))), T1.encode("dcas", 0, 1, 2, 5)]
    words += [T1.encode("halt")]
    spm, acc = noise(data.draw(st.integers(0, 99)))
    spm[3000:3100] &= data.draw(st.sampled_from([0x07, 0x0F, 0x7F]))
    x = np.random.default_rng(2).standard_normal(16).astype(np.float64)
    x = x.astype(np.float32) if kind.itemsize < 8 else x
    one, other = (Run(words, fast, (spm, acc), [x]) for fast in (False, True))
    assert (one.error, one.issued) == (other.error, other.issued)
    if not one.error:
        same_trace(one, other)
    size = count * kind.itemsize
    for left, right in ((one.arrays[0], other.arrays[0]), (one.memories[0][:size], other.memories[0][:size])):
        assert oracle.same_bits(kind, left.view(kind.storage), right.view(kind.storage)).all()


# --- whole kernels


@settings(max_examples=examples(25))
@given(programs.cases())
def test_random_kernels_by_native_functions_alone(case):
    assert not oracle.explain(case, oracle.run_case(case, "interpreter"), run_on(EAGER, case), "interpreter", "npu")


EAGER = Backend(patience=0)


def run_on(backend, case):
    lowered = pipeline.run(case.kernel, backend.passes, backend.machine)
    bound, found = cases.bind(case)
    backend.launch(backend.compile(lowered, Options()), case.grid, bound, Options())
    return found


def test_programs_of_one_class_are_counted_once_and_cost_the_same(monkeypatch):
    text = """kernel @k(%a: *f32, %o: *f32, %n: i32) {
  %i: i32 = program_id {axis=0}
  %b: i32 = constant {value=64, type=i32}
  %s: i32 = mul %i, %b
  %p: *f32 = offset %a, %s
  %q: *f32 = offset %o, %s
  %one: i64 = constant {value=1, type=i64}
  %zero: i64 = constant {value=0, type=i64}
  %m: i32 = sub %n, %s
  %high: i64 = cast %m {to=i64}
  %x: f32[64] = load_block %p, %one, %zero, %high {shape=[64], checked=[0], masked=false, filled=false}
  %y: f32[64] = div %x, %x
  store_block %q, %y, %one, %zero, %high {checked=[0], masked=false}
}
"""
    arrays = [np.ones(1000, np.float32), np.zeros(1000, np.float32)]
    kernel = parse(text)

    def report():
        bound = [Buffer(a.ctypes.data, a.nbytes, f32, True, a, "x") for a in arrays]
        backend = Backend()
        return backend.launch(backend.compile(kernel, Options()), (17, 1, 1), [*bound, 1000], Options())

    looked_at = []
    look = Prices.rows_of
    monkeypatch.setattr(Prices, "rows_of", lambda self, trace: (looked_at.append(trace.program), look(self, trace))[1])
    quick, once = report(), len(looked_at)
    monkeypatch.setattr(Trace, "signature", lambda self, burst: b"")
    assert report() == quick and len(looked_at) == 2 * once < 8, "pieces that did the same, too"
    numbers = itertools.count()
    monkeypatch.setattr(Trace, "image", lambda self, burst: (np.array([next(numbers)]),))
    assert report() == quick and len(looked_at) == 2 * once + 4  # a run of some programs on each core


@pytest.mark.parametrize("cores", [1, 3, 4])
def test_atomics_of_a_grid_take_place_in_the_order_of_its_programs(cores):
    """However many cores share the programs: floats are added in one order, and old values say which."""
    text = """kernel @k(%a: *f32, %x: *f32, %o: *f32) {
  %i: i32 = program_id {axis=0}
  %p: *f32 = offset %x, %i
  %v: f32 = load %p
  %old: f32 = atomic_rmw %a, %v {kind=add}
  %q: *f32 = offset %o, %i
  store %q, %old
}
"""
    values = (np.random.default_rng(0).standard_normal(50) * 10.0 ** np.arange(-25, 25)).astype(np.float32)
    total, old = np.zeros(1, np.float32), np.zeros(50, np.float32)
    backend = Backend(T1_BASE.but(cores=cores))
    bound = [Buffer(a.ctypes.data, a.nbytes, f32, True, a, "x") for a in (total, values, old)]
    backend.launch(backend.compile(parse(text), Options()), (50, 1, 1), bound, Options())
    sums = np.add.accumulate(np.concatenate([[0], values]).astype(np.float32), dtype=np.float32)
    assert (old == sums[:-1]).all() and total[0] == sums[-1]
