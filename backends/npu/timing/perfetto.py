"""A profile as a trace for Perfetto and chrome://tracing: cores are processes, engines threads, instructions slices, tokens arrows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .slices import Slices
from .tasks import KIND_BARRIER, KIND_SCALAR, QUEUE_NAMES
from .text import place_and_text

if TYPE_CHECKING:
    from .profile import Profile

MOST_SLICES = 200_000  # whole runs up to so many: more, viewers do not like
MEMORY = "DRAM"

Event = dict[str, Any]


def write_trace(profile: Profile, path: Path) -> Path:
    """The trace as a file; compressed if its name ends in .gz."""
    text = json.dumps({"displayTimeUnit": "ns", "otherData": _about(profile), "traceEvents": list(events(profile))}, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 6, mtime=0) if path.suffix == ".gz" else text.encode())
    return path


def events(profile: Profile) -> Iterator[Event]:
    """Names, slices, arrows and counters."""
    rows = profile.slices
    count = shown(rows, MOST_SLICES)
    clock = profile.machine.clock_mhz
    yield from _names(profile, rows, count)
    starts, stops = spans(rows)
    said = [place_and_text(loc) for loc in profile.lines]
    columns = (rows.core, rows.queue, rows.pc, rows.run, rows.entered, rows.began, rows.freed, rows.seen, rows.moved, rows.starved)
    each = zip(*(column[:count].tolist() for column in columns), starts[:count].tolist(), stops[:count].tolist(), strict=True)
    for core, queue, pc, run, entered, began, freed, seen, moved, starved, start, stop in each:
        place, text = said[pc]
        told: Event = {"line": place, "source": text, "instruction": profile.words[pc], "pc": pc, "run": run}
        told |= {"waited (cycles)": round(began - entered, 1), "latency (cycles)": round(seen - freed, 1)}
        if moved:
            told |= {"bytes": moved, "slowed by others (cycles)": round(starved, 1)}
        name = profile.words[pc].partition(" ")[0]
        yield _event("X", name, core, queue, start / clock, dur=_round((stop - start) / clock), cat=QUEUE_NAMES[queue][0], args=told)
    yield from _arrows(rows, count, clock, starts, stops)
    yield from _counters(profile, rows, count, clock)


def shown(rows: Slices, most: int) -> int:
    """How many rows to show: those of whole runs."""
    if len(rows) <= most:
        return len(rows)
    begins = np.flatnonzero(np.diff(rows.position, prepend=-1))
    return int(begins[begins <= most].max())


def spans(rows: Slices) -> tuple[np.ndarray, np.ndarray]:
    """When a slice starts and stops. The scalar unit issues in the cycle before and waits itself; engines begin when they can."""
    scalar = (rows.kind == KIND_SCALAR) | (rows.kind == KIND_BARRIER)
    return np.where(scalar, rows.entered - 1, rows.began), rows.freed


def _about(profile: Profile) -> Event:
    grid = list(profile.grid)
    return {
        "kernel": profile.kernel,
        "machine": profile.machine.name,
        "grid": grid,
        "cycles": profile.cycles,
        "clock_mhz": profile.machine.clock_mhz,
    }


def _round(value: float) -> float:
    return round(value, 6)


def _event(phase: str, name: str, core: int, queue: int, microseconds: float, **more: Any) -> Event:
    return {"ph": phase, "name": name, "pid": core, "tid": queue, "ts": _round(microseconds), **more}


def _names(profile: Profile, rows: Slices, count: int) -> Iterator[Event]:
    for core in sorted(set(rows.core[:count].tolist())):
        yield {"ph": "M", "name": "process_name", "pid": core, "args": {"name": f"core {core}"}}
        for queue in sorted(set(rows.queue[:count][rows.core[:count] == core].tolist())):
            yield {"ph": "M", "name": "thread_name", "pid": core, "tid": queue, "args": {"name": QUEUE_NAMES[queue]}}
            yield {"ph": "M", "name": "thread_sort_index", "pid": core, "tid": queue, "args": {"sort_index": queue}}
    yield {"ph": "M", "name": "process_name", "pid": profile.timed.cores, "args": {"name": MEMORY}}


def _arrows(rows: Slices, count: int, clock: float, starts: np.ndarray, stops: np.ndarray) -> Iterator[Event]:
    """A token: from what posted it to what waited for it."""
    number = 0
    for column in (rows.first[:count], rows.second[:count]):
        for to in np.flatnonzero(column >= 0).tolist():
            source = int(column[to])
            number += 1
            middle = float(starts[source] + stops[source]) / 2
            yield _event("s", "token", int(rows.core[source]), int(rows.queue[source]), middle / clock, id=number, cat="token")
            yield _event("f", "token", int(rows.core[to]), int(rows.queue[to]), float(starts[to]) / clock, id=number, cat="token", bp="e")


def _counters(profile: Profile, rows: Slices, count: int, clock: float) -> Iterator[Event]:
    """The rate of DRAM, and how many instructions stand in each queue."""
    for when, rate in dram(rows, profile.machine.dram_bytes_per_cycle):
        level = {"GB/s": round(rate * clock / 1e3, 3)}
        yield _event("C", "GB/s", profile.timed.cores, 0, when / clock, args=level)
    engine = (rows.kind[:count] != KIND_SCALAR) & (rows.kind[:count] != KIND_BARRIER)
    for core in sorted(set(rows.core[:count].tolist())):
        for queue in sorted(set(rows.queue[:count][engine & (rows.core[:count] == core)].tolist())):
            mine = np.flatnonzero(engine & (rows.core[:count] == core) & (rows.queue[:count] == queue))
            for when, depth in steps(rows.entered[mine], rows.began[mine], np.ones(len(mine))):
                name = f"{QUEUE_NAMES[queue]} queue"
                yield _event("C", name, core, queue, when / clock, args={"instructions": round(depth)})


def dram(rows: Slices, bandwidth: float) -> Iterator[tuple[float, float]]:
    """(time, bytes a cycle) wherever that changes: transfers share the bandwidth so that each is as fast as its channel, or all of
    it is used."""
    moving = rows.moved > 0
    alone = np.where(rows.own[moving] > 0, rows.moved[moving] / np.maximum(rows.own[moving], 1e-12), bandwidth)
    for when, rate in steps((rows.began + rows.cost)[moving], rows.freed[moving], alone):
        yield when, min(rate, bandwidth)


def steps(starts: np.ndarray, stops: np.ndarray, heights: np.ndarray) -> Iterator[tuple[float, float]]:
    """(time, level) wherever the sum of some blocks, each so high from its start to its stop, changes."""
    times, index = np.unique(np.concatenate([starts, stops]), return_inverse=True)
    if len(times):
        levels = np.cumsum(np.bincount(index, np.concatenate([heights, -heights]), minlength=len(times)))
        yield from zip(times.tolist(), np.maximum(levels, 0.0).tolist(), strict=True)
