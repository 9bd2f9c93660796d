"""The text of a profile: engines, limits, energy, critical path, lines."""

from __future__ import annotations

import linecache
import math
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiledsl.location import Loc

from .path import UNKNOWN

if TYPE_CHECKING:
    from .profile import Engine, Line, Profile

NOWHERE = "(no line)"
LEAST = 0.005  # a share of the cycles, below which a reason is not worth its words
LINES = 12
LINKS = 8


def described(profile: Profile) -> str:
    """The whole text."""
    parts = [_head(profile), _engines(profile), _limits(profile), _energy(profile), _path(profile), _lines(profile)]
    return "\n\n".join("\n".join(part) for part in (list(part) for part in parts) if part)


def summary(profile: Profile) -> str:
    """One line: where a launch stands under its roof."""
    limits = profile.limits
    share = limits.rate / limits.roof if limits.roof else 0.0
    return (
        f"{profile.kernel:24.24} {profile.cycles:>12,.0f} {limits.intensity:>10.2f} {limits.ridge:>8.2f} "
        f"{_giga(profile, limits.rate):>10.1f} {_giga(profile, limits.roof):>10.1f} {share:>7.1%}  {limits.bound}"
    )


SUMMARY = f"{'kernel':24} {'cycles':>12} {'ops/byte':>10} {'ridge':>8} {'Gop/s':>10} {'roof':>10} {'reached':>7}  bound by"


def _giga(profile: Profile, rate: float) -> float:
    return rate * profile.machine.clock_mhz / 1e3


def _head(profile: Profile) -> Iterator[str]:
    machine, timed = profile.machine, profile.timed
    grid = f"{' x '.join(str(n) for n in profile.grid)} programs"
    if profile.runs != math.prod(profile.grid):
        grid += f" in {profile.runs} runs"
    yield (
        f"{profile.kernel} on {machine.name}: {grid} on {timed.cores} cores, {timed.issued:,} instructions, "
        f"{profile.cycles:,.0f} cycles ({profile.cycles / machine.clock_mhz:,.1f} us), {profile.launch:,.0f} of them for the launch"
    )


def _engines(profile: Profile) -> Iterator[str]:
    total = profile.timed.cycles * profile.timed.cores
    if not total:
        return
    yield f"{'engine':8}{'instructions':>13}{'busy':>9}  not busy"
    for engine in profile.engines:
        reasons = ", ".join(_reasons(engine, profile, total))
        yield f"{engine.name:8}{engine.instructions:>13,}{engine.busy / total:>9.1%}  {reasons}".rstrip()


def _reasons(engine: Engine, profile: Profile, total: float) -> Iterator[str]:
    """Why a queue did nothing, most first; then what slowed down what it did."""
    waits = {_waiting(engine.name, who): cycles for who, cycles in engine.waited.items()}
    if engine.name == "S":
        waits |= {f"queue of {other.name} full": other.held_up for other in profile.engines}
    waits["nothing left to do"] = engine.idle
    for said, cycles in sorted(waits.items(), key=lambda one: -one[1]):
        if cycles / total >= LEAST:
            yield f"{said} {cycles / total:.1%}"
    for said, cycles in (("bandwidth", engine.bandwidth), ("conflicts of banks", engine.banks)):
        if cycles / total >= LEAST:
            yield f"(busy: {said} {cycles / total:.1%})"


def _waiting(name: str, who: str) -> str:
    if name == who:
        return "arrivals" if name[0] in "LW" else "memory or a barrier" if name == "S" else "itself"
    return "to be issued" if who == "S" else f"for {who}"


def _limits(profile: Profile) -> Iterator[str]:
    limits = profile.limits
    if not limits.cycles:
        return
    yield "the least cycles for this work, part by part"
    parts = (("launch", limits.launch), ("matrix unit", limits.matrix), ("vector unit", limits.vector), ("DRAM", limits.dram))
    for name, cycles in parts:
        if cycles:
            yield f"  {name:12}{cycles:>14,.0f}{cycles / limits.cycles:>9.1%} of what it took"
    if limits.operations and limits.moved:
        yield (
            f"roofline: {limits.intensity:.2f} operations a byte, ridge at {limits.ridge:.2f}: bound by {limits.bound}; "
            f"{_giga(profile, limits.rate):,.1f} of {_giga(profile, limits.roof):,.1f} Gop/s, {limits.rate / limits.roof:.1%} of the roof"
        )
    yield f"DRAM: {limits.moved:,.0f} bytes, {limits.moved / limits.cycles:.1f} of {profile.machine.dram_bytes_per_cycle:g} a cycle"


def _energy(profile: Profile) -> Iterator[str]:
    parts = {name: joules for name, joules in profile.energy.items() if joules}
    total = sum(parts.values())
    if total:
        shares = ", ".join(f"{name} {joules / total:.0%}" for name, joules in sorted(parts.items(), key=lambda one: -one[1]))
        watts = total / (profile.cycles / profile.machine.clock_mhz) * 1e6
        yield f"energy: {total * 1e6:,.3g} uJ ({shares}), {watts:.3g} W while it ran"


def _path(profile: Profile) -> Iterator[str]:
    """Stretches of the critical path, those of one instruction together."""
    total = profile.timed.cycles
    if not total:
        return
    sums: dict[tuple[int, str], float] = defaultdict(float)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for link in profile.path:
        key = (-1 if link.what == UNKNOWN else profile.pc_of(link), link.what)
        if link.what == "issue":  # each is a cycle of an instruction of its own: together they are what S takes
            key = (-2, "issue")
        sums[key] += link.stop - link.start
        counts[key] += 1
    yield f"critical path: {len(profile.path):,} steps"
    ranked = sorted(sums, key=lambda key: -sums[key])
    for pc, what in ranked[:LINKS]:
        said = {-1: "runs whose times were not kept", -2: "S, issuing one instruction after the other"}.get(pc) or profile.words[pc]
        place = place_and_text(profile.lines[pc])[0] if pc >= 0 else ""
        yield f"  {sums[pc, what]:>12,.0f}{sums[pc, what] / total:>8.1%}  {what:9} {counts[pc, what]:>7,} x  {said:44.44}  {place}".rstrip()
    rest = sum(sums[key] for key in ranked[LINKS:])
    if rest:
        yield f"  {rest:>12,.0f}{rest / total:>8.1%}  in {len(ranked) - LINKS} others"


def _lines(profile: Profile) -> Iterator[str]:
    """A row for each line of the source."""
    lines, total = profile.by_line, profile.timed.cycles
    if not lines:
        return
    units = [unit for unit in "LWMVX" if any(line.busy[unit] for line in lines)]
    named = "".join(f"{name:>12}" for name in (*(f"{unit} busy" for unit in units), "waiting", "bytes"))
    yield f"{'critical':>12}{'':8}{named}{'times':>10}  line"
    for line in lines[:LINES]:
        busy = "".join(f"{line.busy[unit]:>12,.0f}" for unit in units)
        share = f"{line.critical / total:>8.1%}"
        yield f"{line.critical:>12,.0f}{share}{busy}{line.waited:>12,.0f}{line.moved:>12,.0f}{line.instructions:>10,}  {shown(line)}"
    if len(lines) > LINES:
        yield f"{'':12}and {len(lines) - LINES} lines more"
    kept = int((profile.timed.recorded >= 0).sum())
    if kept < len(profile.timed.programs):
        yield f"of {kept} of {profile.runs} runs: the times of no more were kept"


def shown(line: Line) -> str:
    """A line's place and its text."""
    return "  ".join(place_and_text(line.loc)).rstrip()


def place_and_text(loc: Loc | None) -> tuple[str, str]:
    """A place as people read it, and what stands there."""
    if loc is None:
        return NOWHERE, ""
    return f"{os.path.basename(loc.file)}:{loc.line}", linecache.getline(loc.file, loc.line).strip()
