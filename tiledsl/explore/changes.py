"""Other machines than a given one: what its file could say instead, and the least of that which makes something so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..backends.npu.isa.encoding import instruction_set
from ..backends.npu.machine import T1_BASE, Npu
from ..backends.npu.machine.model import KEYS, RATED
from ..backends.npu.machine.spec import complete
from ..errors import LaunchError

RATES = "matrix_rate"
STEPS = 40  # doublings, at most: half of a fraction is never 0
Values = Mapping[str, Any]  # by field of the machine


@dataclass(frozen=True)
class Change:
    """One line of a machine's file that is another one."""

    key: str
    was: Any
    becomes: Any

    def __str__(self) -> str:
        return f"{self.key} = {_written(self.becomes)} (now {_written(self.was)})"


def changed(machine: Npu, values: Values) -> Npu:
    """The machine with other values; LaunchError where they contradict each other."""
    return complete(machine.but(**values), machine.name)


def best(machine: Npu) -> dict[str, Any]:
    """The best that a file may say of everything that is not at its best."""
    found: dict[str, Any] = {RATES: dict.fromkeys(RATED, 1.0) | dict(machine.matrix_rate)}
    for name, about in machine.about().items():
        key = about["key"]
        if key.better:
            found[name] = key.better > 0 if key.kind is bool else key.kind(key.most if key.better > 0 else key.least)
    return {name: value for name, value in found.items() if value != getattr(machine, name) and _stands(machine, {name: value})}


def _stands(machine: Npu, values: Values) -> bool:
    """Whether the word layout still has room: a vendor's may name fewer registers than T1 has."""
    try:
        instruction_set(machine.but(**values))
    except LaunchError:
        return False
    return True


def mend(machine: Npu, works: Callable[[Npu], bool], use: Callable[[Npu], object]) -> dict[str, Any] | None:
    """The fewest changes that make it work, as small as they can be; None if the best machine would not do. `use` looks at all of a
    machine that matters."""
    most = best(machine)
    about = reads(machine, use) | reads(changed(machine, most), use)
    kept = {name: value for name, value in most.items() if name in about}
    if not kept or not _holds(machine, kept, works):
        return None
    for name in list(kept):
        fewer = {n: v for n, v in kept.items() if n != name}
        if _holds(machine, fewer, works):
            kept = fewer
    for name in kept:
        for value in _towards(machine, name, kept[name]):
            if _holds(machine, kept | {name: value}, works):
                kept[name] = value
                break
    return kept


def _holds(machine: Npu, values: Values, works: Callable[[Npu], bool]) -> bool:
    try:
        return works(changed(machine, values))
    except LaunchError:  # a half of what only goes together
        return False


def _towards(machine: Npu, name: str, most: Any) -> Iterator[Any]:
    """Values from the machine's own to the best, the least change first: what `t1-base` has where it has none; then ever twice as much."""
    now = getattr(machine, name)
    if name == RATES:
        for dtype in most:
            yield {**now, dtype: most[dtype]}
    elif not isinstance(now, bool):
        up = most > now
        value = now or (getattr(T1_BASE, name) or 1 if up else 0)
        if up and not now:
            yield value
        for _ in range(STEPS):
            value = type(now)(value * 2 if up else value / 2)
            if value == now or (value >= most if up else value <= most):
                return
            yield value


def doubled(machine: Npu) -> Iterator[dict[str, Any]]:
    """Every number that is not at its best, twice as good; one at a time, those apart that do not stand alone."""
    for name, most in best(machine).items():
        value = next(_towards(machine, name, most), None)
        if name == RATES or value is None:
            continue
        try:
            changed(machine, {name: value})
        except LaunchError:
            continue
        yield {name: value}


def changes(machine: Npu, values: Values) -> list[Change]:
    """What the file of a machine would say instead."""
    keys = {field: key for key, field in KEYS.items()}
    found = []
    for name, value in values.items():
        now = getattr(machine, name)
        if name == RATES:
            found += [Change(f"matrix.rate.{t}", now.get(t, 0.0), rate) for t, rate in value.items() if rate != now.get(t, 0.0)]
        else:
            found.append(Change(keys[name], now, value))
    return found


def reads(machine: Npu, use: Callable[[Npu], object]) -> set[str]:
    """The fields of a machine that something looks at."""
    seen: set[str] = set()

    class Watched(Npu):
        def __getattribute__(self, name: str) -> Any:
            seen.add(name)
            return super().__getattribute__(name)

    watched = Watched.__new__(Watched)
    watched.__dict__.update(vars(machine))
    use(watched)
    return seen


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:_}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else repr(value)
