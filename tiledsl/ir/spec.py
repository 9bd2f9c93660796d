"""How an op is declared: once, by its typing rule, with its meaning, its manual and its attributes beside it."""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType
from typing import Any

from ..errors import TypeRuleError
from ..record import Record
from .types import DType, Tile

LARGEST = 1 << 24  # elements of a tile: sixteen times what Triton allows, and still memory that every machine has
EFFECTS = ("pure", "grid", "read", "write", "control")


class OpSpec(Record, eq=False):
    """All there is to know about one kind of op; everything else derives from it."""

    name: str
    doc: str
    infer: Callable[..., Any]  # operand types and attributes -> result type(s)
    evaluate: Callable[..., Any]  # operand arrays and attributes -> result array(s), in NumPy
    operands: tuple[str, ...]
    required: int  # how many operands must be given; later ones may be absent
    variadic: bool
    attrs: Mapping[str, Any]
    optional: frozenset[str]  # attributes that may be absent
    effect: str  # pure; grid: constant within a program; read; write; control
    traits: frozenset[str]
    blocks: int  # how many blocks it owns
    ulp: float | None  # None: exact; else how far its definition may lie from `evaluate`, in fp32 ulps
    definition: Callable[..., Any] | None  # of other ops, which a shared pass puts in its place

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple[object, ...]:
        return (_spec_named, (self.name,))

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        """In a definition: the op on terms; a number among them takes the type of the last term."""
        last = next(x for x in reversed(operands) if not isinstance(x, int | float))
        first, *others = (last.like(x) if isinstance(x, int | float) else x for x in operands)
        return first.apply(self, *others, **attributes)

    @property
    def is_pure(self) -> bool:
        """May be computed any number of times, or not at all."""
        return self.effect in ("pure", "grid")


SPECS: dict[str, OpSpec] = {}


def _spec_named(name: str) -> OpSpec:
    return SPECS[name]


def op(
    evaluate: Callable[..., Any],
    *,
    effect: str = "pure",
    traits: Iterable[str] = (),
    blocks: int = 0,
    ulp: float | None = None,
    definition: Callable[..., Any] | None = None,
    names: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], OpSpec]:
    """Declare an op. The decorated function is its typing rule.

    Positional parameters are operands (with the default None they may be absent, from the last), keyword-only
    parameters are attributes, typed by their annotation, with a default where they may be absent; the docstring is the
    manual; `evaluate` is the meaning.
    A rule of an op that owns blocks also receives `blocks`. The `evaluate` of an op that is not pure, or owns
    blocks, receives the interpreter's `run` first; with the trait "typed" it also receives the operands' `types`.
    An op with the trait "function" is one of the language, under its own name. `names` are those of the operands where
    the rule itself takes any number of tiles.
    """

    def declare(infer: Callable[..., Any]) -> OpSpec:
        positional, keywords, rest = parameters_of(infer)
        spec = OpSpec(
            name=infer.__name__.rstrip("_"),
            doc=inspect.getdoc(infer) or "",
            infer=infer,
            evaluate=evaluate,
            operands=tuple(names) or (*positional, *rest),
            required=len(names) or len(positional) - len(infer.__defaults__ or ()),
            variadic=bool(rest) and not names,
            attrs={name: _annotation(infer, name) for name in keywords if name != "blocks"},
            optional=frozenset(infer.__kwdefaults__ or ()),
            effect=effect,
            traits=frozenset(traits),
            blocks=blocks,
            ulp=ulp,
            definition=definition,
        )
        assert spec.doc, f"op {spec.name} has no docstring"
        assert spec.effect in EFFECTS, f"op {spec.name} has effect {effect}"
        assert spec.name not in SPECS, f"op {spec.name} is declared twice"
        SPECS[spec.name] = spec
        return spec

    return declare


def parameters_of(fn: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names of a plain function's parameters: those by position, those by keyword only, and the one that takes the rest.
    Signatures say it, too; making one per op took a tenth of `import tiledsl`."""
    code: CodeType = fn.__code__
    first, last = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    rest = bool(code.co_flags & inspect.CO_VARARGS)
    return code.co_varnames[:first], code.co_varnames[first:last], code.co_varnames[last : last + rest]


def _annotation(fn: Callable[..., Any], name: str) -> Any:
    """What a parameter is annotated with, itself where it is written as text."""
    found = fn.__annotations__[name]
    return eval(found, fn.__globals__) if isinstance(found, str) else found


def export(names: dict[str, Any]) -> None:
    """Let `from module import *` take the ops that a module declares, and nothing else; `names` are its globals."""
    names["__all__"] = [name for name, value in names.items() if isinstance(value, OpSpec)]


def infer_results(spec: OpSpec, operands: Sequence[Tile], attrs: Mapping[str, Any], blocks: Sequence[Any] = ()) -> tuple[Tile, ...]:
    """The result types of an op, by its typing rule; TypeRuleError says why there are none."""
    given = len(operands)
    if given < spec.required or (given > len(spec.operands) and not spec.variadic):
        raise TypeRuleError(f"{spec.name} takes {spec.required} operands, got {given}")
    if attrs.keys() != spec.attrs.keys() and not spec.attrs.keys() - spec.optional <= attrs.keys() <= spec.attrs.keys():
        raise TypeRuleError(f"{spec.name} has attributes {sorted(spec.attrs)}, got {sorted(attrs)}")
    for key, value in attrs.items():
        if not _is_a(value, spec.attrs[key]):
            raise TypeRuleError(f"{spec.name}: attribute {key} must be {_kind_name(spec.attrs[key])}, got {value!r}")
    if len(blocks) != spec.blocks:
        raise TypeRuleError(f"{spec.name} owns {spec.blocks} blocks, got {len(blocks)}")
    out = spec.infer(*operands, **attrs, **({"blocks": blocks} if spec.blocks else {}))
    results = out if isinstance(out, tuple) else () if out is None else (out,)
    for tile in results:
        if tile.shape and tile.size > LARGEST:
            raise TypeRuleError(
                f"{tile} would have {tile.size} elements, more than the {LARGEST} a tile may have",
                help="loop over smaller blocks, or let more programs take one each",
            )
    return results


def _is_a(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(type(x) is int for x in value)
    if kind in (bool, int, float, str, DType, Tile) or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return type(value) is kind
    return isinstance(value, kind)  # a union, such as int | float


def _kind_name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)
