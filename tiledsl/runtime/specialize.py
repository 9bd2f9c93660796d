"""Binding a call: its arguments in the order of the parameters, their key, and the signature that a key stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import ArgumentError, LaunchError, nearest
from ..frontend.function import Formal, JITFunction
from ..frontend.signature import Parameter, Signature
from ..ir.types import Pointer, Tile
from .arguments import Bound, Key, Slot, declared_element, parameter
from .launch import IGNORED, USED


class Binder:
    """Binds calls of one function; a Slot per parameter is all it needs to know of it."""

    def __init__(
        self,
        function: JITFunction,
        do_not_specialize: Iterable[str | int] = (),
        do_not_align: Iterable[str | int] = (),
    ):
        self.function = function
        plain, loose = set(do_not_specialize), set(do_not_align)
        names = {p.name for p in function.params} | {*range(len(function.params))}
        unknown = next((x for x in (*plain, *loose) if x not in names), None)
        if unknown is not None:
            raise LaunchError(f"`{function.name}` has no parameter {unknown!r}", help=nearest(str(unknown), function.arg_names))
        self.slots = tuple(self._slot(p, plain, loose) for p in function.params)
        self.names = tuple(function.arg_names)
        self._known = frozenset(self.names)
        self._describe = tuple(slot.describe for slot in self.slots)

    @staticmethod
    def _slot(p: Formal, plain: set[str | int], loose: set[str | int]) -> Slot:
        elem = None if p.is_constexpr else declared_element(p.annotation)
        const = getattr(p.annotation, "__name__", p.annotation) in ("const", "tl.const") or isinstance(elem, Pointer) and elem.const
        return Slot(p.name, p.is_constexpr, elem, not {p.name, p.index} & plain, not {p.name, p.index} & loose, const)

    def bind(self, args: Sequence[Any], given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The value of every parameter, in order, and the keywords that are no parameters."""
        params = self.function.params
        values = list(args)
        if params and params[-1].is_variadic:
            fixed = len(params) - 1
            values[fixed:] = [tuple(values[fixed:])] if len(values) >= fixed else []
        if len(values) > len(params):
            raise self._error(f"takes {len(params)} arguments, got {len(values)}", help=f"its parameters: {', '.join(self.names)}")
        used = 0
        for p in params[len(values) :]:
            if p.name in given:
                values.append(given[p.name])
                used += 1
            elif p.has_default:
                values.append(p.default)
            elif p.is_variadic:
                values.append(())
            else:
                raise self._missing(p, given)
        if used == len(given):
            return values, {}
        rest = {name: value for name, value in given.items() if name not in self._known}
        if len(rest) + used != len(given):
            twice = next(name for name in self.names[: len(args)] if name in given)
            raise self._error(f"got two values for `{twice}`", twice, help=f"leave out `{twice}=`, or the positional one")
        return values, rest

    def key(self, values: Sequence[Any], out: list[Bound]) -> tuple[Key, ...]:
        """What the compiled code depends on; what is passed at run time goes to `out`."""
        try:
            return tuple([describe(value, out) for describe, value in zip(self._describe, values, strict=True)])
        except LaunchError as error:
            raise self._explain(error, values) from None

    def signature(self, values: Sequence[Any], key: Sequence[Key], debug: bool) -> Signature:
        """The signature of values with this key."""
        made = map(parameter, self.names, values, key)
        return Signature(tuple(_const(p) if slot.const else p for p, slot in zip(made, self.slots, strict=True)), debug)

    def _explain(self, error: LaunchError, values: Sequence[Any]) -> LaunchError:
        """The error, with the parameter it is about."""
        for slot, value in zip(self.slots, values, strict=True):
            try:
                slot.describe(value, [])
            except LaunchError:
                return error.at(self.function.place(slot.name))  # type: ignore[return-value]
        return error

    def _missing(self, p: Formal, given: Mapping[str, Any]) -> ArgumentError:
        what = "the compile-time argument" if p.is_constexpr else "the argument"
        other = [f"`{name}=`" for name in given if name not in (*self.names, *USED, *IGNORED)]
        they = "which is no parameter" if len(other) == 1 else "which are no parameters"
        notes = [f"it was called with {', '.join(other)}, {they}"] if other else []
        help = f"pass {p.name}=..."
        if self.names[0] == "self":
            help = "a kernel is a function: define it outside of the class, and without `self`"
        return self._error(f"is missing {what} `{p.name}`", p.name, notes=notes, help=help)

    def _error(self, message: str, name: str = "", **more: Any) -> ArgumentError:
        return ArgumentError(f"the launch of `{self.function.name}` {message}", self.function.place(name), **more)


def _const(p: Parameter) -> Parameter:
    """A pointer parameter that is not stored through."""
    if p.type is None or not isinstance(p.type.elem, Pointer):
        return p
    return p.but(type=Tile(Pointer(p.type.elem.to, const=True)))
