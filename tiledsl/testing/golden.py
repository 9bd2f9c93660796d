"""Golden files: IR in, and IR, an error or results out; Python in, and a full diagnostic out.

A `.tile` file opens with `; test: <kind>`, where the kind is `parse`, `verify`, `run`, the name of a pass, or `pipeline`
for all shared passes. Parts are separated by a line `; ---`. In each part, after the kernel:

    ; expect:                                the text of the kernel after the pass (or of the parsed one) follows
    ; run: ([1.0, 2.0], 2) == ([3.0, 4.0])   arguments, and what the arrays hold afterwards: by the interpreter on the
                                             kernel before and after the passes, and by every backend
    ; run(2,1): (...) == (...)               on a grid of two programs
    ... ; error: <part of a message>         beside the line the error must name

A `.py` file under `errors/` runs (under `errors/strict/` with TILEDSL_STRICT_TRITON=1); its trailing comment block after
`# expect:` is the diagnostic, in full.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from .. import config, passes
from ..errors import TileError
from ..ir.core import Kernel
from ..ir.parser import parse
from ..ir.types import DType, Pointer
from ..ir.verify import verify
from ..machine import Machine
from ..passes import pipeline
from .cases import Array, Case
from .oracle import RAW, Disagreement, backends, explain, run_case

EXPECT, SEPARATOR = "; expect:", "; ---"
RUN = re.compile(r"; run(?:\((?P<grid>[\d, ]+)\))?: (?P<call>.*)")
ERROR = re.compile(r"; error: (?P<part>.*)$")
MACHINE = Machine("golden")
Transform = Callable[[Kernel], Kernel]


@dataclass(frozen=True)
class Part:
    """One kernel of a file and what is said about it; lines count from 1 in the file."""

    first: int
    source: str
    expected: str | None

    @property
    def errors(self) -> list[tuple[int, str]]:
        lines = enumerate(self.source.splitlines(), self.first)
        return [(n, m.group("part").strip()) for n, line in lines if (m := ERROR.search(line))]

    @property
    def runs(self) -> list[tuple[tuple[int, int, int], str]]:
        return [(_grid(m.group("grid")), m.group("call")) for m in map(RUN.match, self.source.splitlines()) if m]


def check_file(path: Path, update: bool = False) -> None:
    """Hold a golden file to what it says, or rewrite what it expects; AssertionError shows the difference."""
    if path.suffix == ".py":
        _check_script(path, update)
        return
    text = path.read_text()
    head = re.match(r"; test: (\S+)\n", text)
    assert head, f"{path}: the first line must be `; test: <kind>`"
    parts = _split(text)
    updated = [_check_part(part, _transform(head.group(1)), path, update) for part in parts]
    if update:
        path.write_text(f"{SEPARATOR}\n".join(updated))


def _split(text: str) -> list[Part]:
    parts, line = [], 1
    for piece in re.split(rf"^{re.escape(SEPARATOR)}\n", text, flags=re.MULTILINE):
        source, mark, expected = piece.partition(f"{EXPECT}\n")
        parts.append(Part(line, source, expected if mark else None))
        line += piece.count("\n") + 1
    return parts


def _transform(kind: str) -> Transform:
    if kind in ("parse", "verify", "run"):
        return lambda kernel: kernel
    if kind == "pipeline":
        return lambda kernel: pipeline.run(kernel, passes.SHARED, MACHINE, verify=True)
    step = next((p.run for p in passes.SHARED if p.name == kind), None) or getattr(passes, kind, None)
    assert callable(step), f"there is no pass `{kind}`"
    return lambda kernel: step(kernel, MACHINE)


def _check_part(part: Part, transform: Transform, path: Path, update: bool) -> str:
    """The part's text, with what was found in place of what was expected."""
    if part.errors:
        _check_error(part, transform, path)
        return _join(part, part.expected)
    before = _parsed(part, path)
    after = transform(before)
    verify(after)
    for grid, call in part.runs:
        _check_run(before, after, grid, call)
    if part.expected is None:
        return part.source
    found = repr(after)
    if not update:
        same = "\n".join(difflib.unified_diff(part.expected.splitlines(), found.splitlines(), "expected", "found", lineterm=""))
        assert part.expected.strip() == found.strip(), f"{path}:{part.first}\n{same}\n(pytest --update-golden rewrites it)"
    return _join(part, found)


def _join(part: Part, expected: str | None) -> str:
    return part.source if expected is None else f"{part.source}{EXPECT}\n{expected}"


def _parsed(part: Part, path: Path) -> Kernel:
    """The kernel, its lines counted as in the file."""
    kernel = parse("\n" * (part.first - 1) + part.source, str(path))
    verify(kernel)
    return kernel


def _check_error(part: Part, transform: Transform, path: Path) -> None:
    ((line, message),) = part.errors
    try:
        kernel = transform(_parsed(part, path))
        for grid, call in part.runs:
            given, _ = _call(kernel, call)
            run_case(Case(kernel, grid, given))
    except TileError as error:
        place = error.loc.line if error.loc else None
        assert message in error.message and place == line, f"{path}:{line}: expected {message!r}, got {error.message!r} at line {place}"
        return
    raise AssertionError(f"{path}:{line}: expected the error {message!r}, got none")


# --- runs


def _grid(text: str | None) -> tuple[int, int, int]:
    sizes = [int(n) for n in text.split(",")] if text else []
    x, y, z = (*sizes, 1, 1, 1)[:3]
    return x, y, z


def _call(kernel: Kernel, text: str) -> tuple[tuple[Any, ...], list[Array]]:
    """The arguments of a run, and its arrays as they shall be afterwards."""
    given, _, wanted = text.partition("==")
    arguments, results = (_literals(side) for side in (given, wanted or "()"))
    params = kernel.body.args
    assert len(arguments) == len(params), f"@{kernel.name} takes {len(params)} arguments, the run gives {len(arguments)}"
    args = tuple(
        _array(p.name, p.type.elem.to, a) if isinstance(p.type.elem, Pointer) else a for p, a in zip(params, arguments, strict=True)
    )
    arrays = [a for a in args if isinstance(a, Array)]
    return args, [_array(a.name, a.dtype, r) for a, r in zip(arrays, results, strict=bool(wanted))]


def _literals(text: str) -> tuple[Any, ...]:
    value = eval(text, {"__builtins__": {}, "nan": math.nan, "inf": math.inf})
    return value if isinstance(value, tuple) else (value,)


def _array(name: str, dtype: DType, values: list[Any]) -> Array:
    wide = np.array(values, np.float64 if dtype.is_float else object)
    if dtype.is_float:
        carried = np.where(np.isinf(wide), wide.astype(dtype.numpy), dtype.round(wide))
    else:
        carried = wide.astype(dtype.numpy)
    return Array(name, dtype, np.ascontiguousarray(dtype.encode(carried)))


def _check_run(before: Kernel, after: Kernel, grid: tuple[int, int, int], call: str) -> None:
    args, wanted = _call(before, call)
    expected = [a.stored for a in wanted]
    runs = [(RAW, before, RAW), ("after the pass", after, RAW), *((name, before, name) for name in backends())]
    for subject, kernel, machine in runs:
        case = Case(kernel, grid, args)
        if difference := explain(case, expected, run_case(case, machine), "the file says", subject):
            raise Disagreement(f"{difference}\n{case!r}")


# --- diagnostics of Python sources


def _check_script(path: Path, update: bool) -> None:
    text = path.read_text()
    source, mark, block = text.partition("# expect:\n")
    expected = "".join(line[2:] if line.startswith("# ") else line[1:] for line in block.splitlines(keepends=True))
    strict = {config.strict_triton.name: "1"} if path.parent.name == "strict" else {}
    try:
        with mock.patch.dict(os.environ, strict):
            runpy.run_path(str(path))
    except TileError as error:
        found = f"{type(error).__name__}: {error}\n"
    else:
        found = "no error\n"
    if update:
        path.write_text(source + "# expect:\n" + "".join(f"# {line}".rstrip() + "\n" for line in found.splitlines()))
        return
    same = "\n".join(difflib.unified_diff(expected.splitlines(), found.splitlines(), "expected", "found", lineterm=""))
    assert mark and expected.strip() == found.strip(), f"{path}\n{same}\n(pytest --update-golden rewrites it)"
