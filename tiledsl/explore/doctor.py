"""What falls to slow paths on a machine, and what hardware would mend it: found by compiling, for it and for machines with more.

Every op on every type and every ready kernel is compiled; the compiler reports which slow ways it took. Then better machines are
tried: of all that the file could say, the least that makes the way disappear. Nothing here knows a way by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..backends.npu.isa.custom import customs
from ..backends.npu.isa.encoding import instruction_set
from ..backends.npu.machine import Npu
from ..errors import LaunchError, Unsupported, nearest
from ..kernels import samples
from .changes import Change, changed, changes, doubled, mend
from .named import machine_named
from .probes import Probe, alone, of_kernels, of_ops

ENGINES = ("M", "V", "X")
MANY = 4  # instructions of engines, from which an op is worth one of its own


@dataclass
class Finding:
    """One slow way, who takes it, and what would mend it."""

    way: str
    why: str  # of the first who takes it
    place: str  # in the sources
    users: list[str] = field(default_factory=list)
    mends: dict[str, list[Change]] = field(default_factory=dict)  # by user; none where no number of the file helps
    gain: dict[str, tuple[int, int]] = field(default_factory=dict)  # cycles of a program, as it is and mended
    price: tuple[Change, int, int] | None = None  # where no number mends it: the one that makes it cheapest, if it is twice as good


@dataclass
class Diagnosis:
    """What the doctor has to say of a machine."""

    machine: Npu
    findings: list[Finding]
    long: dict[str, int]  # ops that take many instructions, on whatever type, and how many
    own: dict[str, list[str]]  # the machine's own instructions, and the kernels that use them


def examine(machine: Npu, names: Sequence[str] = ()) -> Diagnosis:
    """Compile, compare and conclude. `names`: of the ops and ready kernels to look at; all if none is named."""
    found: dict[str, Finding] = {}
    known: dict[str, list[dict[str, Any]]] = defaultdict(list)  # mends by way
    long: dict[str, int] = {}
    own: dict[str, list[str]] = {name: [] for name in customs(machine)}
    for user, probes in _probes(machine, names):
        for probe in probes:
            _see(machine, user, probe, found, known)
            _count(machine, user, probe, long, own)
    return Diagnosis(machine, list(found.values()), {name: count for name, count in long.items() if count > MANY}, own)


def _probes(machine: Npu, names: Sequence[str]) -> Iterator[tuple[str, list[Probe]]]:
    for probe in of_ops(machine, names):
        yield f"{probe.name} {probe.kind}", [probe]
    yield from of_kernels(machine, names)


def _see(machine: Npu, user: str, probe: Probe, found: dict[str, Finding], known: dict[str, list[dict[str, Any]]]) -> None:
    """Add the slow ways of a kernel to the findings."""
    ways = dict.fromkeys(way for way, _, _ in probe.slow(machine))
    for way in ways:
        why, place = next((why, str(loc) if loc else "") for one, why, loc in probe.slow(machine) if one == way)
        finding = found.setdefault(way, Finding(way, why, place))
        if user in finding.mends:
            continue  # another kernel of the same sample

        def works(other: Npu, way: str = way) -> bool:
            return all(one != way for one, _, _ in probe.slow(other))

        values = next((values for values in known[way] if works(changed(machine, values))), None)
        if values is None:
            values = mend(machine, works, probe.slow)
            if values is not None:
                known[way].append(values)
        finding.users.append(user)
        finding.mends[user] = changes(machine, values) if values else []
        if values and not probe.kind:
            finding.gain[user] = probe.cycles(machine), probe.cycles(changed(machine, values))
        elif not values and not probe.kind and finding.price is None:
            finding.price = _price(machine, probe)


def _price(machine: Npu, probe: Probe) -> tuple[Change, int, int] | None:
    """Of all numbers, the one that saves most cycles when it is twice as good; and cycles now and then."""
    try:
        now = probe.cycles(machine)
    except Unsupported:
        return None
    tried = []
    for values in doubled(machine):
        (change,) = changes(machine, values)
        tried.append((probe.cycles(changed(machine, values)), change))
    cycles, change = min(tried, key=lambda one: one[0])
    return (change, now, cycles) if cycles < now else None


def _count(machine: Npu, user: str, probe: Probe, long: dict[str, int], own: dict[str, list[str]]) -> None:
    """How many instructions of engines an op becomes, and which of the machine's own a kernel uses."""
    if not probe.kind and not own:
        return
    isa = instruction_set(machine)
    names = [isa.decode(word).instruction for word in probe.compiled(machine).words]
    if probe.kind:
        count = sum(one.unit in ENGINES for one in names)
        long[probe.name] = min(count, long.get(probe.name, count))
    for name in own:
        if any(one.name == name for one in names) and user not in own[name]:
            own[name].append(user)


# --- words -------------------------------------------------------------------------------------------------------------


def told(diagnosis: Diagnosis) -> str:
    """The diagnosis as text."""
    m = diagnosis.machine
    lines = [
        f"{m.name}: {m.cores} cores at {m.clock_mhz} MHz, {m.spm_bytes >> 10} KiB scratchpad, {m.acc_bytes >> 10} KiB accumulators, "
        f"a {m.matrix_rows} x {m.matrix_columns} matrix unit, {m.lanes} lanes, {m.dram_gbytes:g} GB/s\n"
    ]
    for number, finding in enumerate(diagnosis.findings, 1):
        lines += [*_finding(number, finding), ""]
    if not diagnosis.findings:
        lines.append("no slow path: every op and every ready kernel compiles to what the machine is made for\n")
    if diagnosis.long:
        many = ", ".join(f"{name} {count}" for name, count in sorted(diagnosis.long.items(), key=lambda item: -item[1]))
        lines.append(f"ops that take many instructions of the engines; one of your own (`npu.hooks`) does in one what you say:\n   {many}")
    for name, users in diagnosis.own.items():
        lines.append(f"your instruction {name}: " + (f"used by {_few(users)}" if users else "no op and no ready kernel uses it"))
    return "\n".join(lines).rstrip() + "\n"


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield f"{number}. {finding.way}" + (f": {finding.why}" if finding.why else "")
    yield f"   {_few(_grouped(finding.users))}" + (f"; {finding.place}" if finding.place else "")
    by_change: dict[str, list[str]] = defaultdict(list)
    for user, made in finding.mends.items():
        by_change[", ".join(map(str, made))].append(user)
    for text, users in by_change.items():
        gains = [finding.gain[user] for user in users if user in finding.gain]
        saved = f": {_few(users)}" if len(by_change) > 1 else ""
        if gains:
            before, after = gains[0]
            first = next(user for user in users if user in finding.gain)
            saved += f"; a program of {first} takes {after:,} cycles then, not {before:,}"
        yield f"   mended by {text}{saved}" if text else f"   no number of the file mends it{saved}"
    if finding.price is not None:
        change, now, cycles = finding.price
        yield f"   what it costs depends most on {change.key}: with {change}, a program takes {cycles:,} cycles, not {now:,}"


def _grouped(users: Sequence[str]) -> list[str]:
    """Ops with the types that they are slow on; kernels."""
    types: dict[str, list[str]] = defaultdict(list)
    for user in users:
        name, _, kind = user.partition(" ")
        types[name] += [kind] if kind else []
    return [f"{name} ({', '.join(dict.fromkeys(k))})" if k else name for name, k in types.items()]


def _few(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def main(options: Any) -> int:
    """What `python -m tiledsl doctor` does."""
    known = [*(spec.name for spec in alone()), *(sample.name for sample in samples())]
    for name in options.names:
        if name not in known:
            raise LaunchError(
                f"there is no op and no ready kernel `{name}`", help=nearest(name, known) or "python -m tiledsl ops lists ops"
            )
    print(told(examine(machine_named(options.machine), options.names)), end="")
    return 0
