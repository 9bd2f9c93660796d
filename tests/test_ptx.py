"""PTX inside kernels means what NVIDIA's manual says, on every backend."""

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl

RNG = np.random.default_rng(0)
SIZE = 64


@tiledsl.jit
def ternary(out, x, y, z, ASM: tl.constexpr, CONSTRAINTS: tl.constexpr, TYPE: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)
    args = [tl.load(x + at), tl.load(y + at), tl.load(z + at)]
    tl.store(out + at, tl.inline_asm_elementwise(ASM, CONSTRAINTS, args, dtype=TYPE, is_pure=True, pack=1))


def computed(asm, *inputs, type=np.uint32, backend="interpreter", constraints="=r,r,r,r"):
    out = np.zeros(len(inputs[0]), type)
    inputs = [*inputs, *[inputs[0]] * (3 - len(inputs))]
    ternary[(1,)](out, *inputs, asm, constraints, getattr(tl, np.dtype(type).name), len(out), backend=backend)
    return out


WORDS = [RNG.integers(0, 2**32, SIZE, dtype=np.uint32) for _ in range(3)]
for words in WORDS:
    words[:6] = 0, 1, 2**31, 2**32 - 1, 31, 32
PLACES = np.arange(SIZE, dtype=np.uint32) % 40
FLOATS = [(RNG.standard_normal(SIZE) * 10).astype(np.float32) for _ in range(3)]
FLOATS[0][:6] = 0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40
X, Y, Z = (w.astype(np.uint64) for w in WORDS)
SX, SY = (w.view(np.int32).astype(np.int64) for w in WORDS[:2])


def low(x):
    return (x & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def field(x, first, length, signed):
    """What bfe gives, bit by bit."""
    first, length = int(first) & 255, int(length) & 255
    last = min(first + length - 1, 31)
    sign = (int(x) >> last) & 1 if signed and length else 0
    bits = [(int(x) >> (first + i)) & 1 if i < length and first + i <= 31 else sign for i in range(32)]
    return sum(b << i for i, b in enumerate(bits))


INTEGERS = [
    ("add.u32 $0, $1, $2;", low(X + Y)),
    ("sub.s32 $0, $1, $2;", low(X - Y)),
    ("mul.lo.u32 $0, $1, $2;", low(X * Y)),
    ("mul.hi.u32 $0, $1, $2;", low(X * Y >> np.uint64(32))),
    ("mul.hi.s32 $0, $1, $2;", low((SX * SY >> 32).astype(np.uint64))),
    ("mad.lo.u32 $0, $1, $2, $3;", low(X * Y + Z)),
    ("{ .reg .u64 w; mul.wide.u32 w, $1, $2; shr.u64 w, w, 20; cvt.u32.u64 $0, w; }", low(X * Y >> np.uint64(20))),
    ("{ .reg .s64 w; mad.wide.s32 w, $1, $2, 7; shr.s64 w, w, 32; cvt.u32.u64 $0, w; }", low((SX * SY + 7 >> 32).astype(np.uint64))),
    ("min.s32 $0, $1, $2;", np.minimum(SX, SY).astype(np.uint32)),
    ("max.u32 $0, $1, $2;", np.maximum(*WORDS[:2])),
    ("and.b32 $0, $1, 0xFF00FF00U;", WORDS[0] & np.uint32(0xFF00FF00)),
    ("xor.b32 $0, $1, $2; not.b32 $0, $0;", ~(WORDS[0] ^ WORDS[1])),
    ("cnot.b32 $0, $1;", (WORDS[0] == 0).astype(np.uint32)),
    ("lop3.b32 $0, $1, $2, $3, 0xE8;", (WORDS[0] & WORDS[1]) | (WORDS[2] & (WORDS[0] | WORDS[1]))),
    ("lop3.b32 $0, $1, $2, $3, 0x96;", WORDS[0] ^ WORDS[1] ^ WORDS[2]),
    ("brev.b32 $0, $1;", np.array([int(f"{int(x):032b}"[::-1], 2) for x in WORDS[0]], np.uint32)),
    ("popc.b32 $0, $1;", np.array([int(x).bit_count() for x in WORDS[0]], np.uint32)),
    ("clz.b32 $0, $1;", np.array([32 - int(x).bit_length() for x in WORDS[0]], np.uint32)),
    ("mov.b32 $0, -1;", np.full(SIZE, 2**32 - 1, np.uint32)),
    ("neg.s32 $0, $1; abs.s32 $0, $0;", np.abs(WORDS[0].view(np.int32)).view(np.uint32)),
    ("{ .reg .pred p, q; setp.lt.s32 p, $1, $2; setp.hi.and.u32 q, $1, $2, p; selp.b32 $0, 7, 9, q; }",
     np.where((SX < SY) & (X > Y), 7, 9).astype(np.uint32)),
    ("{ .reg .pred p; setp.eq.u32 p, $1, 0; @!p mov.b32 $0, $2; @p mov.b32 $0, 5; }", np.where(X == 0, 5, Y).astype(np.uint32)),
    ("{ .reg .b16 h<2>; mov.b32 {h0, h1}, $1; mov.b32 $0, {h1, h0}; }", (WORDS[0] >> 16) | (WORDS[0] << 16)),
    ("{ .reg .b8 b<4>; mov.b32 {b0,b1,b2,b3}, $1; cvt.s32.s8 $0, b2; }", (WORDS[0] >> 16).astype(np.int8).astype(np.int32).view(np.uint32)),
    ("cvt.sat.u8.s32 $0, $1;", np.clip(SX, 0, 255).astype(np.uint32)),
    ("prmt.b32 $0, $1, $2, 0x7531;",
     np.ascontiguousarray(np.stack([WORDS[0], WORDS[1]], 1)).view(np.uint8).reshape(SIZE, 8)[:, [1, 3, 5, 7]].copy().view(np.uint32)[:, 0]),
    ("bar.sync 0; /* nothing */ mov.b32 $0, $1; // that is all", WORDS[0]),
]  # fmt: skip


@pytest.mark.parametrize("backend", ["interpreter", "cpu", "npu"])
@pytest.mark.parametrize("asm, expected", INTEGERS, ids=lambda v: v if isinstance(v, str) else "")
def test_integers(asm, expected, backend):
    assert np.array_equal(computed(asm, *WORDS, backend=backend), expected)


@pytest.mark.parametrize("backend", ["interpreter", "cpu", "npu"])
def test_shifts_go_as_far_as_they_say(backend):
    x, y, n = X, Y, PLACES.astype(np.uint64)
    both = y << np.uint64(32) | x
    for asm, expected in [
        ("shl.b32 $0, $1, $3;", np.where(n < 32, low(x << n), 0)),
        ("shr.u32 $0, $1, $3;", np.where(n < 32, low(x >> n), 0)),
        ("shr.s32 $0, $1, $3;", (SX >> np.minimum(n, 31).astype(np.int64)).astype(np.uint32)),
        ("shf.l.wrap.b32 $0, $1, $2, $3;", low(both << (n % 32) >> np.uint64(32))),
        ("shf.r.wrap.b32 $0, $1, $2, $3;", low(both >> (n % 32))),
        (
            "shf.l.clamp.b32 $0, $1, $2, $3;",
            np.where(n < 32, low(both << np.minimum(n, 31) >> np.uint64(32)), WORDS[0]),
        ),
        ("bfe.u32 $0, $1, $3, 9;", [field(a, f, 9, False) for a, f in zip(x, n, strict=True)]),
        ("bfe.s32 $0, $1, $3, 9;", [field(a, f, 9, True) for a, f in zip(x, n, strict=True)]),
        ("bfe.u32 $0, $1, 3, $3;", [field(a, 3, f, False) for a, f in zip(x, n, strict=True)]),
        ("bfe.s32 $0, $1, 3, $3;", [field(a, 3, f, True) for a, f in zip(x, n, strict=True)]),
        ("bfi.b32 $0, $1, $2, $3, 8;", low((x << n & low(np.uint64(0xFF) << n)) | (y & ~(np.uint64(0xFF) << n)))),
    ]:
        assert np.array_equal(computed(asm, *WORDS[:2], PLACES, backend=backend), np.asarray(expected, np.uint32)), asm


A, B, C = FLOATS
with np.errstate(all="ignore"):
    REAL = [
        ("add.rn.f32 $0, $1, $2;", A + B),
        ("sub.ftz.f32 $0, $1, 0f00000000;", np.where(np.abs(A) < 2.0**-126, np.copysign(np.float32(0), A), A)),
        ("fma.rn.f32 $0, $1, $2, 0.5;", (A.astype(np.float64) * B + 0.5).astype(np.float32)),
        ("add.sat.f32 $0, $1, $2;", np.nan_to_num(np.clip(A + B, 0, 1), nan=0.0)),
        ("min.f32 $0, $1, $2;", np.fmin(A, B)),
        ("max.NaN.f32 $0, $1, $2;", np.maximum(A, B)),
        ("copysign.f32 $0, $1, $2;", np.copysign(B, A)),
        ("rcp.rn.f32 $0, $1;", (np.float32(1) / A)),
        ("sqrt.rn.f32 $0, $1;", np.sqrt(A)),
        ("add.rz.f32 $0, $2, $3;", (lambda exact: np.where(np.abs(exact.astype(np.float32).astype(np.float64)) > np.abs(exact),
         np.nextafter(exact.astype(np.float32), np.float32(0)), exact.astype(np.float32)))(B.astype(np.float64) + C)),
        ("{ .reg .pred p; setp.neu.f32 p, $1, $1; selp.f32 $0, $2, $3, p; }", np.where(np.isnan(A), B, C)),
        ("{ .reg .pred p; setp.ne.f32 p, $1, 0.0; selp.f32 $0, $2, $3, p; }", np.where((A != 0) & ~np.isnan(A), B, C)),
        ("cvt.rni.f32.f32 $0, $1;", np.rint(A)),
        ("{ .reg .s32 i; cvt.rzi.s32.f32 i, $2; cvt.rn.f32.s32 $0, i; }", np.trunc(B) + np.float32(0)),
        ("{ .reg .b32 h; cvt.rn.f16x2.f32 h, $3, $2; .reg .f16 l, u; mov.b32 {l, u}, h; cvt.f32.f16 $0, l; }",
         B.astype(np.float16).astype(np.float32)),
        ("{ .reg .b32 h, k; cvt.rn.f16x2.f32 h, $2, $3; fma.rn.f16x2 k, h, h, h; .reg .f16 l, u; mov.b32 {l, u}, k; cvt.f32.f16 $0, u; }",
         (lambda h: (h * h + h).astype(np.float16).astype(np.float32))(B.astype(np.float16).astype(np.float64))),
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["interpreter", "cpu", "npu"])
@pytest.mark.parametrize("asm, expected", REAL, ids=lambda v: v if isinstance(v, str) else "")
def test_floats(asm, expected, backend):
    found = computed(asm, *FLOATS, type=np.float32, backend=backend, constraints="=f,f,f,f")
    np.testing.assert_array_equal(found, expected)
    assert np.array_equal(np.signbit(found)[~np.isnan(found)], np.signbit(expected)[~np.isnan(found)])


def test_approximations_are_close():
    x = np.abs(B)
    for asm, exact in [
        ("ex2.approx.ftz.f32 $0, $1;", np.exp2(x.astype(np.float64))),
        ("lg2.approx.f32 $0, $1;", np.log2(x.astype(np.float64))),
        ("rsqrt.approx.f32 $0, $1;", x.astype(np.float64) ** -0.5),
        ("tanh.approx.f32 $0, $1;", np.tanh(x.astype(np.float64))),
        ("sin.approx.f32 $0, $1;", np.sin(x.astype(np.float64))),
        ("cos.approx.f32 $0, $1;", np.cos(x.astype(np.float64))),
    ]:
        np.testing.assert_allclose(computed(asm, x, type=np.float32, constraints="=f,f,f,f"), exact, rtol=3e-7, atol=1e-7)


@tiledsl.jit
def packed(outs, outf, x, y, ASM: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)
    whole, larger = tl.inline_asm_elementwise(
        ASM, "=r,=r,=r,=r,=r,r,r,r,r,r", [tl.load(x + at), tl.load(y + at)], dtype=(tl.uint8, tl.float32), is_pure=True, pack=4
    )
    tl.store(outs + at, whole)
    tl.store(outf + at, larger)


@pytest.mark.parametrize("backend", ["interpreter", "cpu", "npu"])
def test_elements_share_registers_as_far_as_pack_goes(backend):
    lines = [f"cvt.u32.u8 n, b{i}; cvt.rn.f32.u32 f, n; max.f32 ${1 + i}, f, ${6 + i};" for i in range(4)]
    asm = "{ .reg .b8 b<4>; .reg .u32 n; .reg .f32 f; mov.b32 {b0, b1, b2, b3}, $5; and.b32 $0, $5, 0x1F1F1F1F;" + " ".join(lines) + "}"
    x, y = RNG.integers(0, 256, 256).astype(np.uint8), (RNG.random(256) * 256).astype(np.float32)
    whole, larger = np.zeros_like(x), np.zeros_like(y)
    packed[(1,)](whole, larger, x, y, asm, 256, backend=backend)
    assert np.array_equal(whole, x & 0x1F) and np.array_equal(larger, np.maximum(x, y))


@pytest.mark.parametrize(
    "asm, said",
    [
        ("ld.global.b32 $0, [$1];", "memory"),
        ("again: bra again;", "labels and jumps"),
        ("vote.all.b32 $0, $1;", "`vote.all.b32` in inline assembly cannot run here"),
        ("mov.u32 $0, %clock;", "`%clock` in inline assembly"),
        ("add.u32 $0, $1, $9;", r"`\$9` in inline assembly"),
        ("add.u32 $0, $1;", "takes 3 operands, got 2"),
        ("add.u32 $0, $1, $2", "ends within an instruction"),
        ("add.sat.s32 $0, $1, $2;", "integers do not saturate here"),
        ("{ .reg .pred p; add.u32 $0, p, $1; }", "`p` in inline assembly is a predicate"),
        ("}", "did not open"),
        ("add.u32 $0, $1, 1.5;", "`1.5` in inline assembly is not understood"),
        ("mma.sync.aligned.m16n8k8.f32 $0, $1, $2;", "cannot run here"),
    ],
)
def test_what_cannot_run_is_named(asm, said):
    with pytest.raises(tiledsl.CompilationError, match=said):
        computed(asm, *WORDS)


def test_constraints_that_do_not_fit_are_told():
    with pytest.raises(tiledsl.CompilationError, match="1 outputs and 2 inputs; results and arguments fill 1 and 3 registers"):
        computed("mov.b32 $0, $1;", *WORDS, constraints="=r,r,r")
