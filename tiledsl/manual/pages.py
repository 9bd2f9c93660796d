"""The pages: one per subject, as Markdown. The same everywhere, so that a test can compare them with those in `docs/`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import config, language
from ..ir.spec import SPECS, OpSpec
from ..language import libdevice, operators
from ..language.core import METHODS, Builtin, Library
from ..language.dtypes import dtype
from ..language.tensor import ATTRIBUTES
from . import examples, text
from .deviations import DEVIATIONS

FOLDER = Path(__file__).resolve().parents[1] / "docs"
WRITTEN = "<!-- written by `python -m tiledsl docs --update`; change the declarations, not this file -->"
SECTIONS = {  # title: the module of the language that declares them
    "Programs, ranges, constants": "creation",
    "Shapes": "shape",
    "Elements in other places": "arrange",
    "Memory": "memory",
    "Block pointers": "block_pointers",
    "Tensor descriptors": "descriptors",
    "Elementwise": "math",
    "Elementwise, by functions of your own": "mapping",
    "Reductions, scans, products": "reduction",
    "Products of narrow floats": "scaled",
    "Written in the language itself": "library",
    "Random numbers": "random",
    "At compile time": "static",
    "While a kernel runs": "debug",
    "Classes of tiles": "aggregates",
    "Of other machines": "foreign",
}
EFFECTS = {
    "pure": "Ops that compute",
    "grid": "Ops that ask where the program stands",
    "read": "Ops that read memory",
    "write": "Ops that write memory",
    "control": "Ops that own blocks",
}


def pages() -> dict[str, str]:
    """Every page that is generated, by its file name."""
    made = {name: f"{WRITTEN}\n\n{make()}".rstrip() + "\n" for name, make in PAGES.items()}
    return made


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the pages into a folder; which files these are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (folder / name).write_text(page)
    return [folder / name for name in PAGES]


def publish(folder: Path) -> list[Path]:
    """Write the whole manual into a folder, with the pages that are written by hand."""
    found = write(folder)
    if folder.resolve() != FOLDER:
        for name in HANDMADE:
            (folder / name).write_text(_without_ways_out((FOLDER / name).read_text()))
            found.append(folder / name)
    return found


def _without_ways_out(page: str) -> str:
    """A page without links to what lies beside the manual, in the sources."""
    return re.sub(r"\[([^]]*)\]\(\.\./[^)]*\)", r"\1", page)


# --- the language


def functions(module: ModuleType) -> dict[str, Any]:
    """The functions that a module of the language declares and `tl` offers, in the order of the file."""
    public = [
        (name, value)
        for name, value in vars(language).items()
        if isinstance(value, Builtin | Library) or inspect.isfunction(value)
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    ]
    return dict(sorted(public, key=lambda item: _line(item[1])))


def _line(value: Any) -> int:
    function = getattr(value, "function", None) or getattr(value, "fn", value)
    return int(function.__code__.co_firstlineno)


def _language() -> str:
    lines = [
        "# The language\n",
        "What a kernel can call, by family; `tl` is `tiledsl.language`. Types are in [types.md](types.md), the C library's "
        "functions in [libdevice.md](libdevice.md), what they become in [ops.md](ops.md). Where Triton does otherwise, "
        "an entry says so; [coming_from_triton.md](coming_from_triton.md) has all of it. Results in the examples are what the "
        "interpreter gives.\n",
    ]
    lines += [f"- [{title}](#{_anchor(title)})" for title in ("Operators", "Tiles", *SECTIONS)]
    lines += ["", _operators(), _tiles()]
    for title, name in SECTIONS.items():
        module = import_module(f"{language.__name__}.{name}")
        lines += [f"## {title}\n", text.doc(module) + "\n"]
        lines += [_function_entry(f"tl.{name}", value) for name, value in functions(module).items()]
    return "\n".join(lines)


def _function_entry(name: str, value: Any) -> str:
    short = name.rpartition(".")[2]
    spec = text.same_named(short)
    lines = [f"### `{text.signature(name, value)}`\n", text.doc(value) + "\n"]
    notes = []
    if METHODS.get(short) is value:
        notes.append(f"Also a method of tiles: `x.{short}(...)`.")
    if spec is not None:
        within = f", {text.bound(spec).partition(';')[0]}" if spec.ulp is not None else ""
        notes.append(f"Becomes the op [`{spec.name}`](ops.md#{spec.name}){within}.")
    if short in DEVIATIONS:
        notes.append(f"Triton: {DEVIATIONS[short]}")
    lines += [f"{note}\n" for note in notes]
    if short in examples.FUNCTIONS and name.startswith("tl."):
        lines.append(f"```python\n{examples.shown(examples.FUNCTIONS[short])}\n```\n")
    return "\n".join(lines)


def _operators() -> str:
    shown = "\n".join(examples.shown(expression) for expression in examples.OPERATORS)
    return (
        "## Operators\n\n"
        f"{text.doc(operators)}\n\n"
        "A number beside a tile takes the tile's type if it is no wider in kind (bool, int, float); two tiles meet in the wider type. "
        "Shapes broadcast as in NumPy. `and`, `or` and `not` take i1 tiles; "
        "a condition of `if`, `while` or `x if c else y` is a scalar.\n\n"
        f"```python\n{shown}\n```\n"
    )


def _tiles() -> str:
    return (
        "## Tiles\n\n"
        "An array of one type and of a shape known when compiling; a scalar has shape `()`. "
        f"Attributes: {_listed(ATTRIBUTES)}. Methods, each the function of its name: {_listed(METHODS)}.\n"
    )


# --- libdevice


def _libdevice() -> str:
    names = {n: v for n, v in vars(libdevice).items() if isinstance(v, Builtin) and not n.startswith("_")}
    rows = [f"| `{text.signature(n, v)}` | {_cell(text.doc(v))} |" for n, v in sorted(names.items())]
    return (
        "# libdevice\n\n"
        f"{text.doc(libdevice)}\n\n"
        "`from tiledsl.language import libdevice`, or in Triton's words `from triton.language.extra import libdevice`.\n\n"
        f"| function | what it gives |\n| --- | --- |\n" + "\n".join(rows)
    )


# --- types


def _types() -> str:
    rows = []
    for name, value in vars(language).items():
        if isinstance(value, dtype):
            rows.append((value.elem.bits, name, value))
    lines = [
        "# Types\n",
        "Elements of tiles. An `int1` takes a byte in memory and counts as unsigned. A pointer is `tl.pointer_type(element)`, the type of "
        "a tile `tl.block_type(element, shape)`.\n",
        "| `tl.` | short | in the IR | bits | largest | mantissa bits | exponent bias |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for _, name, value in rows:
        lines.append(f"| `{name}` | {value.name} | {value.elem} | {value.elem.bits} | {_largest(value)} | {_mantissa(value)} |")
    lines.append("\n## Names\n")
    kinds = [(n, v) for n, v in vars(language).items() if inspect.isclass(v) and not n.startswith("_") and v.__doc__]
    lines += [f"- `tl.{name}`: {_cell(text.doc(value))}" for name, value in sorted(kinds)]
    return "\n".join(lines)


def _largest(kind: dtype) -> str:
    return str(kind.get_int_max_value()) if kind.is_int() else f"{_largest_float(kind):.6g}"


def _largest_float(kind: dtype) -> float:
    elem = kind.elem
    if elem.numpy == elem.storage:
        return float(np.finfo(elem.numpy).max)
    codes = np.arange(1 << elem.bits - 1).astype(f"u{elem.itemsize}").view(elem.storage)
    with np.errstate(invalid="ignore"):  # the codes of NaN
        every = np.asarray(elem.decode(codes), np.float64)
    return float(every[np.isfinite(every)].max())


def _mantissa(kind: dtype) -> str:
    return f"{kind.fp_mantissa_width} | {kind.exponent_bias}" if kind.is_floating() else " | "


# --- ops


def _ops() -> str:
    lines = [
        "# Ops\n",
        "What kernels consist of after the frontend, and what backends run. `[x]` may be absent, `*x` stands for any number, attributes "
        "are in braces. An op without a bound is exact: it has one right answer, to the last bit, on every backend. "
        "`python -m tiledsl ops NAME` shows one.\n",
    ]
    for effect, title in EFFECTS.items():
        lines.append(f"## {title}\n")
        lines += [_op_entry(spec) for spec in sorted(SPECS.values(), key=lambda s: s.name) if spec.effect == effect]
    return "\n".join(lines)


def _op_entry(spec: OpSpec) -> str:
    within = text.bound(spec)
    traits = ", ".join(sorted(spec.traits))
    lines = [f"### {spec.name}\n", f"`{text.op_signature(spec)}`\n", spec.doc + "\n"]
    if within:
        lines.append(f"{_sentence(within)}.\n")
    if traits:
        lines.append(f"Traits: {traits}.\n")
    return "\n".join(lines)


# --- environment


def _environment() -> str:
    rows = [f"| `{v.name}` | {_cell(v.help)} | {_default(v.default)} |" for v in config.VARIABLES]
    return (
        "# Environment variables\n\n"
        "Read when they are needed, not at import; `python -m tiledsl config` shows what they are now.\n\n"
        "| variable | what it does | if it is not set |\n| --- | --- | --- |\n" + "\n".join(rows)
    )


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Path):
        return f"`~/{value.relative_to(Path.home())}`" if value.is_relative_to(Path.home()) else f"`{value}`"
    return f"`{value}`" if value not in ("", ()) else ""


# --- the first page


def _index() -> str:
    written = [f"- [{title}]({name}){note}" for name, (title, note) in HANDMADE.items()]
    generated = [f"- [{title}]({name})" for name, title in TITLES.items()]
    return "# tiledsl, the manual\n\n" + "\n".join([*written, *generated])


HANDMADE = {
    "coming_from_triton.md": ("Coming from Triton", ": every difference, and how to run what you have"),
    "beyond_triton.md": ("Beyond Triton", ": what is accepted that Triton refuses, and what it costs"),
    "your_accelerator.md": ("Your accelerator in a day", ": a machine, its words and instructions, and how to know that they are right"),
    "profile.md": ("Where the cycles went", ": profiles, traces and rooflines of the modelled accelerator"),
    "conformance.md": ("Triton's own tests", ": how many pass, what the numbers are from, and what does not pass"),
}
TITLES = {
    "language.md": "The language: every function, operator and method",
    "types.md": "Types",
    "libdevice.md": "libdevice: the C library's functions",
    "ops.md": "Ops: what kernels become",
    "environment.md": "Environment variables",
}
PAGES: Mapping[str, Callable[[], str]] = {
    "index.md": _index,
    "language.md": _language,
    "types.md": _types,
    "libdevice.md": _libdevice,
    "ops.md": _ops,
    "environment.md": _environment,
}


# --- words


def _sentence(words: str) -> str:
    """The words with a capital at the start and no stop."""
    return (words[:1].upper() + words[1:]).rstrip(".")


def _anchor(title: str) -> str:
    """How GitHub links to a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
