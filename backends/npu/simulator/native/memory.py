"""Native access to DRAM: which buffer of the launch an address is in, and what is noted of writes."""

from __future__ import annotations

from ....cpu.emit import Scalar
from . import layout
from .layout import WORD, Head, Region
from .write import Function

FIND = f"""define internal i64 @find(ptr %core, i64 %low, i64 %high, i64 %writes, ptr %found) nounwind {{
entry:
  %where = getelementptr i64, ptr %core, i64 {Head.REGIONS}
  %first = load ptr, ptr %where
  %many = getelementptr i64, ptr %core, i64 {Head.REGION_COUNT}
  %n = load i64, ptr %many
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %after, %other ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %look, label %outside
look:
  %at = mul i64 %i, {Region.WORDS * WORD}
  %region = getelementptr i8, ptr %first, i64 %at
  %start = load i64, ptr %region
  %stop.at = getelementptr i64, ptr %region, i64 1
  %stop = load i64, ptr %stop.at
  %above = icmp sge i64 %low, %start
  %below = icmp sle i64 %high, %stop
  %here = and i1 %above, %below
  %after = add i64 %i, 1
  br i1 %here, label %inside, label %other
other:
  br label %next
inside:
  %may.at = getelementptr i64, ptr %region, i64 2
  %may = load i64, ptr %may.at
  %marks.at = getelementptr i64, ptr %region, i64 3
  %marks = load i64, ptr %marks.at
  %reads = icmp eq i64 %writes, 0
  %plain = icmp eq i64 %marks, 0
  %writable = icmp ne i64 %may, 0
  ; what must have been written before it is read, the reference interpreter looks at
  %fine = select i1 %reads, i1 %plain, i1 %writable
  store i64 %start, ptr %found
  %second = getelementptr i64, ptr %found, i64 1
  store i64 %stop, ptr %second
  %third = getelementptr i64, ptr %found, i64 2
  store i64 %marks, ptr %third
  %status = select i1 %fine, i64 {layout.GO}, i64 {layout.FALL_BACK}
  ret i64 %status
outside:
  ret i64 {layout.FALL_BACK}
}}
"""


def cached_region(f: Function) -> str:
    """A slot for the region that was found last: its start, its stop, its marks."""
    if FIND not in f.helpers:
        f.helpers.append(FIND)
    found = f.slot("i64", 3)
    for word, value in enumerate((1, 0, 0)):
        f.set(found, word, value)
    return found


def located(f: Function, address: Scalar, size: Scalar, writes: bool, found: str | None = None) -> str:
    """Fall back unless some bytes lie in one buffer of the launch, which may be written if need be; where that is noted."""
    region = found or cached_region(f)
    b = f.b
    after = b.add(address, size)
    known = f.both(f.test("sge", address, f.word(region, 0)), f.test("sle", after, f.word(region, 1)))

    def look() -> None:
        status = b.effect(f"call i64 @find(ptr %core, i64 {address}, i64 {after}, i64 {int(writes)}, ptr {region})")
        f.require(f.test("eq", status, layout.GO))

    f.when(b.value(f"xor i1 {known}, true"), look)
    return region


def marked(f: Function, region: str, address: Scalar, size: Scalar) -> None:
    """Note that bytes have been written, where the buffer keeps such notes."""
    marks = f.word(region, 2)

    def mark() -> None:
        first = f.b.add(marks, f.b.sub(address, f.word(region, 0)))
        at = f.b.value(f"inttoptr i64 {first} to ptr")
        with f.b.loop(0, size) as loop:
            f.b.line(f"store i8 1, ptr {f.at(at, loop.index)}")

    f.when(f.test("ne", marks, 0), mark)
