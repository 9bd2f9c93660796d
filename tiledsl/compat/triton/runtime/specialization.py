"""A specialisation as JSON text, so that another process can compile it before it is asked for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ....frontend.signature import Signature
from ....language.core import constexpr
from ....language.dtypes import dtype
from ..backends.compiler import CPUOptions, GPUTarget
from .signatures import signature_of


def serialised(
    name: str, types: Mapping[str, Any], constants: Mapping[Any, Any], attributes: Mapping[Any, Any],
    options: CPUOptions, key: str, target: GPUTarget,
) -> str:  # fmt: skip
    """The text."""
    return json.dumps({
        "name": name,
        "signature": dict(types),
        "constant_keys": [list(path) for path in constants],
        "constant_vals": [_encoded(value) for value in constants.values()],
        "attrs_keys": [list(path) for path in attributes],
        "attrs_vals": list(attributes.values()),
        "options": {k: v for k, v in dataclasses.asdict(options).items() if isinstance(v, bool | int | str | None)},
        "key": key,
        "target": vars(target),
    })  # fmt: skip


def decoded(function: Any, found: Mapping[str, Any]) -> tuple[Signature, dict[str, Any]]:
    """The signature and the options that a text holds."""
    constants = {tuple(path): _decoded(value) for path, value in zip(found["constant_keys"], found["constant_vals"], strict=True)}
    constants.update({path[0]: value for path, value in list(constants.items()) if len(path) == 1})
    attributes = {tuple(path): value for path, value in zip(found["attrs_keys"], found["attrs_vals"], strict=True)}
    types = {name: _tuples(kind) for name, kind in found["signature"].items()}
    debug = bool(found["options"].get("debug"))
    return signature_of(function.params, types, constants, attributes, debug), found["options"]


def _encoded(value: Any) -> Any:
    if isinstance(value, dtype):
        return {"dtype": value.name}
    if isinstance(value, constexpr):
        return {"constexpr": _encoded(value.value)}
    if getattr(value, "is_jit_function", False):
        return {"jit_function": f"{value.module}:{value.fn.__qualname__}"}
    return [_encoded(item) for item in value] if isinstance(value, tuple) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_decoded, value))
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "dtype":
        return dtype.named(inner)
    if kind == "constexpr":
        return constexpr(_decoded(inner))
    from .jit import registered  # which writes these texts

    if inner not in registered:
        raise RuntimeError(f"there is no jit function {inner} in this process")
    return registered[inner]


def _tuples(kind: Any) -> Any:
    return tuple(map(_tuples, kind)) if isinstance(kind, list) else kind
