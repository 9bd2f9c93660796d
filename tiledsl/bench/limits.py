"""What this machine can do at most, measured in the same run as the kernels: fused multiply-adds, and bytes to and from memory.

A kernel's time is never shorter than its floating-point operations at the peak, nor than its bytes at the bandwidth; the larger
of the two over the measured time is the share of the limit that it reached.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..backends.cpu import engine, host
from ..kernels.sample import Work

CHAINS = 12  # independent chains of products: latency times throughput of every processor that we know, and no more registers
BYTES = 1 << 27  # moved to measure a bandwidth: far beyond any cache
SMALL = 1 << 26  # a share of the last cache still holds less; launches below it may be faster than memory


@dataclass(frozen=True)
class Limits:
    """Of so many threads together."""

    threads: int
    flops: float  # floating-point operations a second, in float32; a fused multiply-add is two
    read: float  # bytes a second
    triad: float  # bytes a second while two arrays are read and a third is written past the caches

    def share(self, work: Work, seconds: float) -> float | None:
        """How much of what the machine could do was done; None where the data may have stayed in caches."""
        bound = work.flops / self.flops
        if work.bytes >= SMALL:
            bound = max(bound, work.bytes / (self.read if work.reads_only else self.triad))
        elif bound == 0 or work.bytes * 16 > work.flops:  # not bound by arithmetic
            return None
        return bound / seconds


@cache
def measured(threads: int, repetitions: int = 5) -> Limits:
    """The best of several runs."""
    machine = host()
    lanes = machine.vector_bytes // 4
    linked = engine.Linked(engine.object_file(_text(lanes), machine))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    peak, read, triad = (call(linked.address(name)) for name in ("peak", "read", "triad"))
    x, y, z = (_aligned(BYTES // 4) for _ in range(3))
    share = x.size // threads // (8 * lanes) * (8 * lanes)

    def over(function: Callable[..., None], count: int) -> Callable[[int], None]:
        def run(thread: int) -> None:
            at = thread * share * 4
            function(x.ctypes.data + at, y.ctypes.data + at, z.ctypes.data + at, count)

        return run

    turns = 2_000_000
    return Limits(
        threads,
        flops=threads * turns * CHAINS * lanes * 2 / _seconds(over(peak, turns), threads, repetitions),
        read=threads * share * 4 / _seconds(over(read, share), threads, repetitions),
        triad=threads * share * 12 / _seconds(over(triad, share), threads, repetitions),
    )


def _aligned(count: int) -> np.ndarray:
    """Ones that begin where a cache line does."""
    room = np.ones(count + 16, np.float32)
    start = -room.ctypes.data // 4 % 16
    return room[start : start + count]


def _seconds(run: Callable[[int], None], threads: int, repetitions: int) -> float:
    """The shortest time in which all threads run at once; ctypes lets go of the interpreter's lock."""
    best = float("inf")
    for _ in range(repetitions):
        others = [threading.Thread(target=run, args=(i,)) for i in range(1, threads)]
        start = time.perf_counter()
        for other in others:
            other.start()
        run(0)
        for other in others:
            other.join()
        best = min(best, time.perf_counter() - start)
    return best


def _text(lanes: int) -> str:
    """The three loops in LLVM's language."""
    v = f"<{lanes} x float>"
    chains = "\n".join(f"  %c{i} = phi {v} [ zeroinitializer, %entry ], [ %d{i}, %loop ]" for i in range(CHAINS))
    steps = "\n".join(f"  %d{i} = call {v} @llvm.fma({v} %c{i}, {v} %a, {v} %b)" for i in range(CHAINS))
    ends = "\n".join(f"  %p{i} = getelementptr {v}, ptr %x, i64 {i}\n  store {v} %d{i}, ptr %p{i}, align 4" for i in range(CHAINS))
    sums = "\n".join(f"  %s{i} = phi {v} [ zeroinitializer, %entry ], [ %t{i}, %loop ]" for i in range(8))
    at = "\n".join(f"  %i{i} = add i64 %i, {i * lanes}\n  %p{i} = getelementptr float, ptr %x, i64 %i{i}" for i in range(8))
    adds = "\n".join(f"  %l{i} = load {v}, ptr %p{i}, align 4\n  %t{i} = fadd {v} %s{i}, %l{i}" for i in range(8))
    kept = "\n".join(f"  %q{i} = getelementptr {v}, ptr %z, i64 {i}\n  store {v} %t{i}, ptr %q{i}, align 4" for i in range(8))
    head = "(ptr %x, ptr %y, ptr %z, i64 %n) {\nentry:\n"
    return f"""
declare {v} @llvm.fma.v{lanes}f32({v}, {v}, {v})
define void @peak{head}  %a = load {v}, ptr %y, align 4
  %b = load {v}, ptr %z, align 4
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{chains}
{steps.replace("@llvm.fma", f"@llvm.fma.v{lanes}f32")}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
{ends}
  ret void
}}
define void @read{head}  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{sums}
{at}
{adds}
  %next = add i64 %i, {8 * lanes}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
{kept}
  ret void
}}
define void @triad{head}  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %px = getelementptr float, ptr %x, i64 %i
  %py = getelementptr float, ptr %y, i64 %i
  %pz = getelementptr float, ptr %z, i64 %i
  %a = load {v}, ptr %px, align 4
  %b = load {v}, ptr %py, align 4
  %c = fadd {v} %a, %b
  store {v} %c, ptr %pz, align {lanes * 4}, !nontemporal !0
  %next = add i64 %i, {lanes}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}}
!0 = !{{i32 1}}
"""
