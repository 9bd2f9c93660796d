"""Code of other machines inside a kernel: known by name, and refused with what to write instead."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import UnsupportedSyntax
from .core import Context, builtin, unwrap


@builtin
def inline_asm_elementwise(ctx: Context, asm: str, constraints: str, args: Any, dtype: Any, is_pure: bool, pack: int) -> NoReturn:
    """Assembly of a GPU, which runs on no other machine: refused."""
    first = next((line.strip() for line in str(unwrap(asm)).splitlines() if line.strip(" {}")), "")
    raise UnsupportedSyntax(
        f"inline assembly cannot run here: `{first}`",
        help="write it with functions of tl and libdevice, for example behind a tl.constexpr flag",
    )


@builtin
def extern_elementwise(ctx: Context, lib_name: str, lib_path: str, args: Any, arg_type_symbol_dict: Any, is_pure: bool) -> NoReturn:
    """A function of a GPU's library, by its symbol: refused."""
    raise UnsupportedSyntax(
        "a function of a GPU's library cannot run here", help="call the function of this name in libdevice, or write it with tl"
    )
