"""What the CPU asks of LLVM, and that it leaves LLVM to others as it was."""

from __future__ import annotations

import pytest

from tiledsl.backends.cpu import engine
from tiledsl.backends.cpu.host import host

LOOP = """define void @run(ptr %p, i64 %n, i64 %step) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %j, %head ]
  %t = mul i64 %i, %step
  %q = getelementptr i64, ptr %p, i64 %t
  store i64 %i, ptr %q
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %head, label %out
out:
  ret void
}
"""


def usual() -> bytes:
    """What anybody else in this process gets from LLVM."""
    binding = engine.llvm()
    return bytes(engine._target_machine(host().cpu, host().features).emit_object(binding.parse_assembly(LOOP)))


def test_induction_variables_stay_as_written_and_only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    before, ours = usual(), engine.object_file(LOOP, host())
    assert usual() == before  # a multiplication per iteration became an addition
    assert len(ours) != len(before)
    monkeypatch.setattr(engine, "KNOWN", ())
    assert len(engine.object_file(LOOP, host())) == len(before)


def test_options_of_the_llvm_that_is_installed_are_known() -> None:
    assert engine.llvm().llvm_version_info[0] in engine.KNOWN, "see whether it still has -disable-lsr, and what that gains"
