"""Every backend conforms; one that does not is told so; `python -m tiledsl` shows and checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tiledsl import __main__ as command
from tiledsl import config, ops
from tiledsl.backend import registry
from tiledsl.backend.base import Options, Program
from tiledsl.backends import interpreter
from tiledsl.errors import Unsupported
from tiledsl.ir.core import Kernel, Value
from tiledsl.ir.rebuild import Copier, Rules, apply_rules, rule
from tiledsl.ir.types import f16, f32, i1, i8, i32
from tiledsl.testing import conformance
from tiledsl.testing.oracle import backends

FEW = (f32, i32, i1)


@pytest.mark.parametrize("name", backends())
def test_a_backend_conforms(name: str) -> None:
    """On few types; TILEDSL_FUZZ=<n>: on all, and with n random programs."""
    n = config.fuzz()
    rows = conformance.check(name, n, n // 50, conformance.EVERY) if n else conformance.check(name, 5, 2, FEW)
    assert conformance.passes(rows), "\n".join(map(str, rows))


class Wrong(interpreter.Backend):
    """A backend that cannot do sqrt, and forgets that -0 is a number of its own."""

    name = "wrong"

    def compile(self, kernel: Kernel, options: Options) -> Program:
        for op in kernel.body.walk():
            if op.spec is ops.sqrt:
                raise Unsupported("no sqrt here", op.loc)
        table: Rules = {}

        @rule(table, ops.neg)
        def subtract(build: Copier, x: Value) -> Value:
            zero = build.emit(ops.constant, value=0.0 if x.type.elem.is_float else 0, type=x.type)
            made: Value = build.emit(ops.sub, zero, x)
            return made

        return super().compile(apply_rules(kernel, table), options)


@pytest.fixture
def wrong() -> Iterator[str]:
    registry.register(Wrong())
    yield "wrong"
    del registry._registered["wrong"]


def test_what_a_backend_lacks_and_what_it_gets_wrong_are_listed(wrong: str) -> None:
    rows = {row.name: row for row in conformance.check(wrong, 1, 1, FEW)}
    assert rows["sqrt"].unsupported == ["f32"] and not rows["sqrt"].wrong
    assert list(rows["neg"].wrong) == ["f32"] and "i32" in rows["neg"].passed
    assert "`out`" in rows["neg"].wrong["f32"] and "0x80000000" in rows["neg"].wrong["f32"]
    assert not conformance.passes(list(rows.values()))


def test_minimal_kernels_cover_every_type_an_op_takes() -> None:
    names = [name for name, _ in conformance.minimal(ops.cast, (f32, i8, f16))]
    assert len(names) == len(set(names)) == 9
    assert [name for name, _ in conformance.minimal(ops.and_, (f32, i8))] == ["i8"]


KERNEL = """kernel @f(%p: *f32) {
  %x: f32 = load %p
  %y: f32 = neg %x
  %z: f32 = neg %y
  %unused: f32 = sqrt %x
  store %p, %z
}
"""


def test_show_prints_a_kernel_before_and_after_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.tile"
    file.write_text(KERNEL)
    assert command.main(["show", str(file)]) == 0
    assert capsys.readouterr().out == KERNEL
    assert command.main(["show", str(file), "--after", "dead"]) == 0
    assert "sqrt" not in capsys.readouterr().out
    assert command.main(["show", str(file), "--after", "nothing"]) == 1
    assert "passes: " in capsys.readouterr().err


def test_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out or f"\n  {name}:" in out for name in command.COMMANDS)
