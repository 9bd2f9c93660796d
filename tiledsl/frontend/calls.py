"""Calls: builtins of the language, jit functions (inlined), and the few Python functions a kernel may use."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from .. import language
from ..errors import TypeRuleError
from ..ir.core import Value
from ..language import coerce
from ..language import math as tile_math
from ..language import static as tile_static
from ..language import tuples as tile_tuples
from ..language.aggregates import Aggregate, aggregate_replace, construct
from ..language.core import METHODS, Builtin, Library, constexpr, static_int, unwrap
from ..language.debug import device_print
from ..language.descriptors import TensorDescriptor
from ..language.dtypes import dtype, pointer_type
from ..language.tensor import ATTRIBUTES, BoundMethod, attribute, tensor
from ..language.types import block_type, get_int_dtype
from .frame import DEEPEST_CALL, Frame, Returned, expression
from .function import JITFunction
from .sequences import SEQUENCES, indexed, items
from .syntax import check


@expression(ast.Call)
def call(frame: Frame, node: ast.Call) -> Any:
    callee = unwrap(frame.evaluate(node.func))
    args: list[Any] = []
    for arg in node.args:
        if isinstance(arg, ast.Starred):
            args += items(frame.evaluate(arg.value), "`*` in a call")
        else:
            args.append(frame.evaluate(arg))
    kwargs: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise frame.error(node, "`**` in a call is not supported", help="name the arguments")
        kwargs[keyword.arg] = frame.evaluate(keyword.value)
    frame.at(node)
    return apply(frame, callee, args, kwargs, lambda: ast.unparse(node.func))


def apply(frame: Frame, callee: Any, args: Sequence[Any], kwargs: Mapping[str, Any], spoken: Callable[[], str]) -> Any:
    """Call what a kernel may call; errors ask how it is spoken of."""
    if isinstance(callee, BoundMethod):
        callee, args = callee.method, [callee.receiver, *args]
    if isinstance(callee, Builtin):
        return call_builtin(frame, callee, args, kwargs)
    if isinstance(callee, (JITFunction, Library)):
        return inline(frame, callee, args, kwargs)
    if callee is constexpr:
        return constexpr(_static(args[0], spoken))
    if isinstance(callee, type) and issubclass(callee, Aggregate):
        return make_aggregate(frame, callee, args, kwargs)
    if getattr(callee, "in_aggregate", False):
        return callee(*args, **kwargs, **({"_semantic": frame} if takes_context(callee) else {}))
    if getattr(callee, "is_constexpr_function", False) or callee is aggregate_replace:
        return callee(*args, **kwargs)
    special = _special(callee)
    if special is not None:
        _require_fitting(special, spoken, frame, args, kwargs)
        return special(frame, *args, **kwargs)
    if hasattr(callee, "_fields"):  # a class of named tuples holds whatever it is given
        return callee(*map(unwrap, args), **{name: unwrap(value) for name, value in kwargs.items()})
    if _compile_time(callee):
        try:
            return callee(*(_static(a, spoken) for a in args), **{k: _static(v, spoken) for k, v in kwargs.items()})
        except TypeRuleError as error:
            raise TypeRuleError(error.message, help=_running(callee)) from None
    raise TypeRuleError(f"`{spoken()}` cannot be called in a kernel", help=_instead(callee, spoken()))


def _instead(callee: Any, spoken: str) -> str:
    """What to write for a call that a kernel cannot contain."""
    name = getattr(callee, "__name__", "")
    if isinstance(getattr(callee, "kernel", None), JITFunction):  # kernel[grid]
        return f"call it without a grid, {callee.kernel.name}(...): the programs are those of this launch"
    if isinstance(callee, ModuleType):
        return f"it is a module: call a function of it, {spoken}...(...)"
    if isinstance(getattr(language, name, None), (Builtin, Library)):
        return f"use tl.{name}"
    if inspect.isfunction(callee):
        return f"decorate `{spoken}` with @tiledsl.jit"
    if inspect.ismethod(callee):
        return f"write `{name}` as a function with @tiledsl.jit, outside of the class"
    return "call functions of tl, jit functions and those of Python's math"


def _require_fitting(
    special: Callable[..., Any], spoken: Callable[[], str], frame: Frame, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Say that arguments do not fit a Python function that kernels may call, in words about it and not about us."""
    try:
        inspect.signature(special).bind(frame, *args, **kwargs)
    except TypeError as error:
        raise TypeRuleError(f"`{spoken()}` cannot be called like this in a kernel: {error}") from None


def make_aggregate(frame: Frame, kind: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An instance of a class of tiles; a number in a field for a tile becomes one."""
    made = construct(kind, tuple(args), kwargs, lambda function, a, k: apply(frame, function, a, k, lambda: kind.__name__))
    fields = made.leaves()
    loose = {n: fields[n] for n, declared in made.aggregate_fields.items() if declared is tensor and _is_number(fields[n])}
    return made.replaced({n: coerce.tensor(frame.build, value) for n, value in loose.items()}) if loose else made


def _is_number(value: Any) -> bool:
    return isinstance(unwrap(value), (bool, int, float))


@cache
def takes_context(function: Any) -> bool:
    """Whether a Python function asks for the context, as builtins written for Triton do."""
    return "_semantic" in inspect.signature(function).parameters


def call_builtin(frame: Frame, callee: Builtin, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a builtin; arguments that do not fit its signature are named."""
    try:
        given = callee.__signature__.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeRuleError(f"tl.{callee.__name__}: {error}", help=_spoken(callee)) from None
    if name := callee.misfit(given):
        wanted = " or ".join(callee.takes[name].values())
        taken = f"tl.{callee.__name__} takes {wanted} as `{name}`, got {coerce.describe(given[name])}"
        raise TypeRuleError(taken, help=_spoken(callee))
    try:
        return callee.enter(frame, args, kwargs)
    except TypeRuleError as error:
        error.from_builtin = True  # type: ignore[attr-defined]
        error.advise(_spoken(callee))
        raise


def _spoken(callee: Builtin) -> str:
    """A builtin as it is called: its name and its parameters."""
    shown = [p.replace(annotation=p.empty) for p in callee.__signature__.parameters.values()]
    return f"tl.{callee.__name__}{callee.__signature__.replace(parameters=shown)}"


@cache
def library_function(library: Library) -> JITFunction:
    """A function of the language that is written in it, as what it is."""
    return JITFunction(library.fn)


def inline(frame: Frame, callee: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The body of a jit function in place of its call; returns what it returns."""
    function = library_function(callee) if isinstance(callee, Library) else callee
    if not isinstance(function, JITFunction):
        raise TypeRuleError(f"{coerce.describe(function)} is not a jit function", help="decorate it with @tiledsl.jit")
    if frame.depth >= DEEPEST_CALL:
        raise frame.too_deep(f"calls are nested more than {DEEPEST_CALL} deep", "write some of these functions as one")
    names = bind(function, args, kwargs)
    check(function)
    inner = Frame(function, frame.build, names, frame.loc(frame.node), frame.depth + 1)
    inner.lanes, inner.said = frame.lanes, frame.said
    out = inner.execute(function.tree.body)
    return out.value if isinstance(out, Returned) else None


Frame.inliner = staticmethod(inline)


def bind(function: JITFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name; constexpr ones must be known now."""
    names: dict[str, Any] = {}
    rest = list(args)
    for formal in function.params:
        if formal.is_variadic:
            names[formal.name], rest = tuple(map(unwrap, rest)), []
        elif rest:
            if formal.name in kwargs:
                raise TypeRuleError(f"`{function.name}` got two values for `{formal.name}`")
            names[formal.name] = rest.pop(0)
        elif formal.name in kwargs:
            names[formal.name] = kwargs[formal.name]
        elif formal.has_default:
            names[formal.name] = formal.default
        else:
            raise TypeRuleError(f"`{function.name}` is called without `{formal.name}`", help=f"pass {formal.name}=...")
        value = unwrap(names[formal.name])
        if formal.is_constexpr and isinstance(value, Value):  # a tile is passed on: only its use may ask for more
            known = static_int(value)
            value = value if known is None else known
        names[formal.name] = value
    unknown = [k for k in kwargs if k not in function.arg_names]
    if rest or unknown:
        wrong = f"has no parameter `{unknown[0]}`" if unknown else f"takes {len(function.params)} arguments, got {len(args)}"
        raise TypeRuleError(f"`{function.name}` {wrong}", help=f"its parameters are {', '.join(function.arg_names)}")
    return names


def _static(value: Any, what: Callable[[], str]) -> Any:
    value = unwrap(value)
    if isinstance(value, Value):
        known = static_int(value)
        if known is None:
            raise TypeRuleError(f"{what()} takes a compile-time value, got {value.type}", help="declare it `tl.constexpr`")
        return known
    return value


def _running(callee: Any) -> str:
    """What to write for a Python function of numbers where a number is known only to the running kernel."""
    name = getattr(callee, "__name__", "")
    if isinstance(getattr(language, name, None), (Builtin, Library)):
        return f"use tl.{name}, which takes tiles"
    if isinstance(getattr(import_module(f"{language.__name__}.libdevice"), name, None), Builtin):
        return f"use libdevice.{name}, which takes tiles: from tiledsl.language import libdevice"
    return "declare it `tl.constexpr`"


# --- the Python functions a kernel may use


def _number(kind: type) -> Callable[..., Any]:
    def convert(frame: Frame, x: Any = 0) -> Any:
        x = unwrap(x)
        if isinstance(x, Value):
            known = static_int(x)
            if known is None:
                names = {float: "tl.float32", int: "tl.int32", bool: "tl.int1"}
                raise TypeRuleError(f"`{kind.__name__}` takes a compile-time value, got {x.type}", help=f"write x.to({names[kind]})")
            x = known
        return kind(x)

    return convert


def _isinstance(frame: Frame, value: Any, kinds: Any) -> bool:
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    names = {getattr(k, "__name__", "") for k in kinds}
    if isinstance(value, Value):
        return "tensor" in names
    plain = tuple(k for k in kinds if isinstance(k, type) and k.__name__ not in ("tensor", "constexpr"))
    if isinstance(unwrap(value), TensorDescriptor) and "tensor_descriptor" in names:
        return True
    is_tuple = isinstance(unwrap(value), tuple) and "tuple" in names
    return isinstance(unwrap(value), plain) or is_tuple or "constexpr" in names


def _get(frame: Frame, owner: Any, name: str, *default: Any) -> Any:
    if isinstance(owner, Value):
        return attribute(frame, owner, name) if _has(owner, name) or not default else default[0]
    return unwrap(getattr(owner, name, *default))


def _has(owner: Any, name: str) -> bool:
    return (name in ATTRIBUTES or name in METHODS) if isinstance(owner, Value) else hasattr(owner, name)


def _python_range(frame: Frame, *args: Any, **ignored: Any) -> Any:
    """Python's range takes no keywords, and Triton ignores them, a step as well."""
    if ignored and frame.build.loc:
        words = f"`range` ignores {', '.join(ignored)}; give a step as the third argument, and hints to tl.range"
        warnings.warn_explicit(words, UserWarning, frame.build.loc.file, frame.build.loc.line)
    return tile_static.range.function(frame, *args)


SPECIAL: dict[Any, Callable[..., Any]] = {
    **SEQUENCES,
    builtins.range: _python_range,
    builtins.abs: lambda frame, x: tile_math.abs.function(frame, x) if isinstance(x, Value) else builtins.abs(x),
    builtins.float: _number(float),
    builtins.int: _number(int),
    builtins.bool: _number(bool),
    builtins.len: lambda frame, x: indexed(x.type.shape, 0, "its shape") if isinstance(x, Value) else len(x),
    builtins.isinstance: _isinstance,
    builtins.getattr: lambda frame, owner, name, *default: _get(frame, unwrap(owner), unwrap(name), *default),
    builtins.hasattr: lambda frame, owner, name: _has(unwrap(owner), unwrap(name)),
    builtins.list: lambda frame, items=(): tuple(items),
    builtins.tuple: lambda frame, items=(): tuple(items),
    tile_tuples.tuple: lambda frame, items=(), fields=None: tile_tuples.tuple(map(unwrap, items), fields),
    builtins.print: lambda frame, *values, **how: device_print.function(frame, *map(unwrap, values), **how),
}


PLAIN = (
    str, repr, round, sorted,
    dtype, get_int_dtype, pointer_type, block_type, tile_tuples.tuple_type, tile_tuples.constexpr_type,
)  # fmt: skip


def _special(callee: Any) -> Callable[..., Any] | None:
    try:
        return SPECIAL.get(callee)
    except TypeError:  # not hashable, so not one of them
        return None


def _compile_time(callee: Any) -> bool:
    """Pure functions of numbers, and methods of dtypes."""
    return (
        getattr(callee, "__module__", None) == math.__name__
        or isinstance(getattr(callee, "__self__", None), (dtype, pointer_type, block_type))
        or callee in PLAIN
        or bool(getattr(callee, "is_constexpr_function", False))
    )
