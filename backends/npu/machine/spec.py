"""Spec files: TOML, a section for each part of the machine, checked key by key; what a file leaves out is as in `t1-base`.

[npu]
name = "mine"
cores = 2
[spm]
bytes = 65536
[matrix]
rows = 8
cols = 8
source = "our floor plan, revision 3"
[matrix.rate]
i8 = 1.0          # a type that is not named has rate 0: the vector unit computes its products
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tiledsl.digest import sha256
from tiledsl.errors import LaunchError, nearest

from .model import DECLARED, KEYS, RATED, SECTIONS, Key, Npu

SUFFIX = ".npu.toml"
FOLDER = Path(__file__).parent / "presets"
PRESETS = tuple(sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}")))


def find(name: str) -> Npu:
    """The preset of this name, or the machine in a file; LaunchError says which there are."""
    if name in PRESETS:
        return read(FOLDER / f"{name}{SUFFIX}")
    if name.endswith(".toml") or os.sep in name:
        return read(Path(name))
    help = nearest(name, PRESETS) or "name one of these, or a file that ends in .toml"
    raise LaunchError(f"there is no machine `{name}`", notes=[f"machines: {', '.join(PRESETS)}"], help=help)


def read(path: Path) -> Npu:
    """The machine that a file describes; LaunchError names the file and the key."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise LaunchError(f"{path} is no TOML: byte {error.start} is no UTF-8", help="save it as UTF-8") from None
    except OSError as error:
        raise LaunchError(f"{path}: {error.strerror}", help=f"presets: {', '.join(PRESETS)}") from None
    try:
        return parse(text, str(path))
    except tomllib.TOMLDecodeError as error:
        raise LaunchError(f"{path} is no TOML: {error}") from None


def parse(text: str, place: str) -> Npu:
    """The machine that a text describes; `place` is what errors call it, and what it is called if it does not say."""
    table = tomllib.loads(text)
    values: dict[str, Any] = {"name": Path(place).name.removesuffix(SUFFIX)}
    sources: dict[str, str] = {}
    for section, entries in table.items():
        if section not in SECTIONS:
            raise _unknown(place, f"section [{section}]", section, SECTIONS)
        if not isinstance(entries, Mapping):
            raise LaunchError(f"{place}: `{section}` is a section, not a value", help=f"write [{section}] and its keys below")
        for name, value in entries.items():
            if name == "source":
                if not isinstance(value, str):
                    raise LaunchError(
                        f"{place}: {section}.source is {value!r}, not a string", help="where the numbers of this section come from"
                    )
                sources[section] = value
            elif f"{section}.{name}" in TABLES:
                field, entry = TABLES[f"{section}.{name}"]
                values[field] = dict(_table(place, f"{section}.{name}", value, entry))
            elif f"{section}.{name}" not in KEYS:
                known = [key for key in (*KEYS, *TABLES) if key.startswith(f"{section}.")]
                raise _unknown(place, f"key `{section}.{name}`", f"{section}.{name}", known)
            else:
                values[KEYS[f"{section}.{name}"]] = _checked(place, DECLARED[f"{section}.{name}"], value)
    if values.get("hooks"):
        values |= _hooks(place, values["hooks"])
    return complete(Npu(**values, sources=sources), place)


def with_keys(machine: Npu, values: Mapping[str, Any], name: str) -> Npu:
    """The machine under another name, with other values of keys; LaunchError names the key."""
    given: dict[str, Any] = {}
    for key, value in values.items():
        table, _, entry = key.rpartition(".")
        if table in TABLES:
            field, check = TABLES[table]
            given[field] = {**given.get(field, getattr(machine, field)), entry: check(machine.name, key, entry, value)}
        elif key in KEYS:
            given[KEYS[key]] = _checked(machine.name, DECLARED[key], value)
        else:
            raise _unknown(machine.name, f"key `{key}`", key, [*KEYS, *TABLES])
    return complete(machine.but(**given, name=name), name)


def complete(machine: Npu, place: str) -> Npu:
    """The same machine, with what follows from its numbers; LaunchError where they contradict each other."""
    if bool(machine.matrix_rows) != bool(machine.matrix_columns):
        raise LaunchError(
            f"{place}: matrix.rows is {machine.matrix_rows} and matrix.cols is {machine.matrix_columns}",
            help="a machine without matrix unit has neither: write 0 for both",
        )
    if (machine.word_fields or machine.word_opcodes) and not machine.word_bits or machine.word_bits % 8:
        raise LaunchError(f"{place}: encoding.bits is {machine.word_bits}", help="how many bits a word of your layout has: whole bytes")
    return machine.but(
        vector_bytes=4 * machine.lanes,
        memories={"spm": machine.spm_bytes, "acc": machine.acc_bytes},
        peak_flops=2e6 * machine.clock_mhz * machine.cores * max(machine.macs * machine.matrix_rate.get("f32", 0.0), machine.lanes),
        bandwidth=1e9 * machine.dram_gbytes,
    )


def _table(place: str, key: str, table: Any, entry: Entry) -> Iterator[tuple[str, Any]]:
    """The entries of a section in a section."""
    if not isinstance(table, Mapping):
        raise LaunchError(f"{place}: {key} is a section, not a value", help=f"write [{key}] and its lines below")
    for name, value in table.items():
        yield name, entry(place, f"{key}.{name}", name, value)


def _rate(place: str, key: str, name: str, rate: Any) -> float:
    if name not in RATED:
        raise _unknown(place, f"type `{name}` in [matrix.rate]", name, RATED)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 64:
        raise LaunchError(f"{place}: {key} is {rate!r}", help="a number from 0 to 64: 1 is one multiply-add per cell and cycle")
    return float(rate)


def _cost(place: str, key: str, name: str, cost: Any) -> float:
    if name not in RATED:
        raise _unknown(place, f"type `{name}` in [{key.rpartition('.')[0]}]", name, RATED)
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < float("inf"):
        raise LaunchError(f"{place}: {key} is {cost!r}", help="a number, 0 or more: of one multiply-add")
    return float(cost)


def _bits(place: str, key: str, name: str, bits: Any) -> tuple[int, int]:
    if not isinstance(bits, list) or [type(x) for x in bits] != [int, int]:
        raise LaunchError(f"{place}: {key} is {bits!r}", help="two numbers: the lowest bit, and how many there are")
    return bits[0], bits[1]


def _opcode(place: str, key: str, name: str, code: Any) -> int:
    if type(code) is not int:
        raise LaunchError(f"{place}: {key} is {code!r}", help="a whole number: the opcode of this instruction")
    return code


Entry = Callable[[str, str, str, Any], Any]
TABLES: Mapping[str, tuple[str, Entry]] = {
    "matrix.rate": ("matrix_rate", _rate),
    "energy.mac_pj": ("mac_pj", _cost),
    "area.mac_um2": ("mac_um2", _cost),
    "encoding.fields": ("word_fields", _bits),
    "encoding.opcodes": ("word_opcodes", _opcode),
}


def _hooks(place: str, name: str) -> dict[str, str]:
    """Where a machine's file of instructions is, and what tells its versions apart."""
    path = Path(place).absolute().parent / name
    try:
        return {"hooks": str(path), "hooks_digest": sha256(path.read_bytes()).hexdigest()}
    except OSError as error:
        raise LaunchError(f"{place}: npu.hooks is {name!r}: {error.strerror}", help="a Python file, from the folder of this one") from None


def plainly(number: float) -> str:
    """A limit as one writes it: 1048576, 0.5."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def _checked(place: str, key: Key, value: Any) -> Any:
    """A value of the key's kind, inside its range."""
    kinds: dict[type, Any] = {int: int, float: int | float, str: str, bool: bool}
    if not isinstance(value, kinds[key.kind]) or isinstance(value, bool) != (key.kind is bool):
        wanted = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}[key.kind]
        raise LaunchError(f"{place}: {key.name} is {value!r}, not {wanted}", help=key.meaning)
    if key.choices and value not in key.choices:
        notes = [f"known: {', '.join(key.choices)}"]
        raise LaunchError(f"{place}: {key.name} is {value!r}", notes=notes, help=nearest(value, key.choices) or key.meaning)
    if key.name == "npu.name" and not value.strip():
        raise LaunchError(f"{place}: {key.name} is {value!r}", help=key.meaning)
    if key.kind in (str, bool):
        return value
    if not key.least <= value <= key.most:
        raise LaunchError(f"{place}: {key.name} is {value}; it lies between {plainly(key.least)} and {plainly(key.most)}", help=key.meaning)
    if key.power and value & (value - 1):
        raise LaunchError(f"{place}: {key.name} is {value}, no power of two", help=key.meaning)
    return key.kind(value)


def _unknown(place: str, what: str, name: str, known: Any) -> LaunchError:
    return LaunchError(f"{place}: there is no {what}", notes=[f"known: {', '.join(known)}"], help=nearest(name, list(known)))
