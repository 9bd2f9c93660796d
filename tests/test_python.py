"""Python in a kernel: what stands for what, on every backend; and what strict mode says to what Triton does not have."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError

BACKENDS = ("interpreter", "cpu", "npu")
COUNT = 0

# the body of a kernel in which n is 5, m is -2 and t a tile of 1.0, 2.0, 3.0, 4.0: what it leaves at `out`; in Triton or not
BODIES: dict[str, tuple[list[float], bool]] = {
    "a = b = n\n    tl.store(out, a + b)": ([10], False),
    "(a, b) = c = (n, 2)\n    tl.store(out, a * b + c[0])": ([15], False),
    "a, *b, c = (1, n, 3, 4)\n    tl.store(out, a + b[0] * 10 + b[1] * 100 + c * 1000)": ([4351], False),
    "a, *b = (n,)\n    tl.store(out, a + len(b))": ([5], False),
    "a = (1, n)\n    a += (7,)\n    tl.store(out, a[1] + a[2])": ([12], True),
    "for i, (a, b) in enumerate(zip((n, 2), (m, 3)), 1):\n        tl.store(out + i - 1, a * b * i)": ([-10, 12], False),
    "for a in reversed((n, m)):\n        tl.store(out, a)": ([5], False),
    "for a in (n, m):\n        tl.store(out, a)": ([-2], False),
    "for i in range(m, n, 3):\n        tl.store(out + 1, i)\n    tl.store(out, i)": ([4, 4], False),
    "for i in range(n, m, -2):\n        tl.store(out + 1, i)\n    if i < 0:\n        tl.store(out, i * 2)": ([-2, -1], False),
    "i = 7\n    for i in range(n, m):\n        tl.store(out + 1, i)\n    tl.store(out, i)": ([7], False),
    "for i in range(n, m):\n        tl.store(out + 1, i)\n    tl.store(out, i)": ([5], False),
    "for a in tl.static_range((n, m)):\n        tl.store(out, a)": ([-2], False),
    "for i in tl.static_range(len((n, m))):\n        tl.store(out + i, i)": ([0, 1], True),
    "tl.store(out, sum((n, m, 10)))": ([13], False),
    "tl.store(out, sum([t, t * 2]).sum())": ([30], False),
    "tl.store(out, sum(a * b for a, b in ((n, 2), (m, 3))))": ([4], False),
    "tl.store(out, sum((1, 2)))": ([3], False),
    "tl.store(out, abs(m))": ([2], False),
    "tl.store(out, [a * b for a in (n, m) for b in (2, 3) if b > 2][1])": ([-6], False),
    "tl.store(out, [a * n for a in range(1, 4)][2])": ([15], True),
    "tl.store(out, any((n < 0, m < 0)).to(tl.int32) + all((n < 0, m < 0)).to(tl.int32) * 10)": ([1], False),
    "tl.store(out, 3 if any((False, 1)) else 4)": ([3], False),
    "tl.store(out, 3 if all((n > 0, False)) else 4)": ([4], False),
    "tl.store(out, 3 if n in (1, 5) else 4)": ([3], False),
    "tl.store(out, tl.sum((t not in (1.0, n - 1)).to(tl.int32)))": ([2], False),
    "tl.store(out, 3 if 2 not in (1, 2) else 4)": ([4], False),
    "tl.store(out, min(n, m, 7) + max((n, m)) * 10 + tl.abs(m) * 100 + len(t) * 1000)": ([4248], True),
    "tl.store(out, (y := n + 1) * 2 + y)": ([18], True),
    "assert n > 2, f'{1 + 1} is less'\n    tl.store(out, 1)": ([1], True),
    "tl.store(out, 1 < n < 6)": ([1], False),
}


def kernel_of(body: str) -> Any:
    """A kernel with a body from text, which messages can quote."""
    global COUNT
    COUNT += 1
    file = f"<python {COUNT}>"
    text = f"def kernel(out, n, m):\n    t = tl.arange(1, 5).to(tl.float32)\n    {body}\n"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope: dict[str, Any] = {"tl": tl}
    exec(compile(text, file, "exec"), scope)
    return tiledsl.jit(scope["kernel"])


@pytest.mark.parametrize("body", BODIES)
def test_what_it_means(body: str) -> None:
    kernel, (wanted, in_triton) = kernel_of(body), BODIES[body]
    for backend in BACKENDS:
        out = np.zeros(len(wanted), np.float32)
        kernel[(1,)](out, 5, -2, backend=backend)
        assert out.tolist() == wanted, backend
    assert (not kernel.notes(out, 5, -2)) == in_triton


@pytest.mark.parametrize("body", [b for b, (_, in_triton) in BODIES.items() if not in_triton])
def test_strict_mode_refuses_it(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match=r"(?s)-->.*TILEDSL_STRICT_TRITON.*help: "):
        kernel_of(body).lower(np.zeros(1, np.float32), 5, -2)


REFUSED = {
    "a, b = (1, n, 2)": "3 values for 2 names",
    "a, *b, c = (n,)": "1 values for at least 2 names",
    "tl.store(out, min(t))": "reduce a tile with tl.min",
    "tl.store(out, sum(t))": "reduce a tile with tl.sum",
    "tl.store(out, [a for a in range(n)][0])": "compile-time ints",
    "tl.store(out, [a for a in (1, 2) if n > 3][0])": "condition of a comprehension",
    "for a in t:\n        pass": "cannot loop over f32[4]",
    "for a, b in zip((1,), t):\n        pass": "zip takes a tuple",
    "for a in map(abs, (1, 2)):\n        pass": "cannot be called in a kernel",
    "t[0] = 1.0": "tiles and tuples are values",
    "del t": "leave it out",
    "f = lambda a: a": "@tiledsl.jit",
    "tl.store(out, t if t > 2 else -t)": "tl.where",
    "tl.store(out, n ** 2)": "multiply",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_refused_says_what_to_do(body: str) -> None:
    with pytest.raises(CompilationError) as caught:
        kernel_of(body).lower(np.zeros(1, np.float32), 5, -2)
    assert REFUSED[body] in str(caught.value) and "--> <python" in str(caught.value)
