"""Code of other machines inside a kernel: PTX in straight lines is said again in ops; the rest is refused with what to write instead."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import UnsupportedSyntax
from .core import Context, builtin, unwrap


@builtin
def inline_asm_elementwise(ctx: Context, asm: str, constraints: str, args: Any, dtype: Any, is_pure: bool, pack: int) -> Any:
    """PTX for every element, or with pack=n for every n neighbouring ones: instructions in straight lines on registers. They mean
    what NVIDIA's manual says, `.approx` ones to the last digits. Memory, jumps and special registers are refused."""
    from .assembly import elementwise  # only kernels that hold PTX need it

    return elementwise(ctx, str(unwrap(asm)), str(unwrap(constraints)), unwrap(args), unwrap(dtype), pack)


@builtin
def extern_elementwise(ctx: Context, lib_name: str, lib_path: str, args: Any, arg_type_symbol_dict: Any, is_pure: bool) -> NoReturn:
    """A function of a GPU's library, by its symbol: refused."""
    raise UnsupportedSyntax(
        "a function of a GPU's library cannot run here", help="call the function of this name in libdevice, or write it with tl"
    )
