"""Arguments of a launch: what each contributes to the key of a specialisation, and what the backend receives.

A rule per Python type looks at a value for one slot, appends what is passed at run time, and returns the key: a type as
text ("*f32/16": a pointer whose address is a multiple of 16), or a pair for what is known at compile time.
"""

from __future__ import annotations

import ctypes
import operator
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ArgumentOverflow, LaunchError
from ..frontend.signature import Parameter, text_of
from ..ir.types import DTYPES, DType, Elem, Pointer, Tile, i1, u8
from ..language.core import constexpr
from ..language.descriptors import TensorDescriptor
from ..memory import Buffer
from ..record import Record

Key = Hashable
Bound = Buffer | int | float | bool
Rule = Callable[[Any, "Slot", list[Bound]], Key]

TENSORMAP = 128  # bytes of a descriptor in memory
ALIGNMENT = 16  # bytes of an address, or the factor of an integer, that a specialisation may rely on
NAMES = {  # as NumPy, PyTorch and Triton call them
    "bool": "i1", "int1": "i1", "u1": "i1", "float16": "f16", "fp16": "f16", "half": "f16", "bfloat16": "bf16",
    "float32": "f32", "fp32": "f32", "float64": "f64", "fp64": "f64",
    "float8_e5m2": "f8e5", "float8_e4m3fn": "f8e4nv", "float8_e4m3fnuz": "f8e4b8", "float8_e5m2fnuz": "f8e5b16",
    "fp8e5": "f8e5", "fp8e4nv": "f8e4nv", "fp8e4b8": "f8e4b8", "fp8e5b16": "f8e5b16", "fp8e4b15": "f8e4b15",
    **{f"int{bits}": f"i{bits}" for bits in (8, 16, 32, 64)}, **{f"uint{bits}": f"u{bits}" for bits in (8, 16, 32, 64)},
}  # fmt: skip
SUPPORTED = (
    "NumPy arrays, PyTorch tensors and other objects with `__dlpack__` or `data_ptr()` on the CPU; int, float, bool, None, tuples of these"
)


class Slot(Record, eq=False):
    """One parameter as the rules see it."""

    name: str
    constant: bool = False
    elem: Elem | None = None  # fixed by an annotation
    specialize: bool = True  # whether 1 and multiples of 16 make versions of their own
    align: bool = True
    const: bool = False  # a pointer that the kernel does not store through

    def describe(self, value: object, out: list[Bound]) -> Key:
        """The key of a value; what is passed at run time goes to `out`."""
        if self.constant:
            return constant_key(value)
        if self.elem is not None:
            return _typed(value, self, out)
        return (RULES.get(type(value)) or _rule_for(value))(value, self, out)


# --- numbers


def _int(value: int, slot: Slot, out: list[Bound]) -> Key:
    if value == 1 and slot.specialize:
        return (int, 1)
    out.append(value)
    if -0x80000000 <= value < 0x80000000:
        name = "i32"
    elif -0x8000000000000000 <= value < 0x8000000000000000:
        name = "i64"
    elif 0 <= value < 0x10000000000000000:
        name = "u64"
    else:
        raise ArgumentOverflow(f"`{slot.name}` = {value} does not fit 64 bits", help="pass a float, or parts of it")
    return f"{name}/16" if value % ALIGNMENT == 0 and slot.specialize and slot.align else name


def _float(value: float, slot: Slot, out: list[Bound]) -> Key:
    out.append(float(value))
    return "f32"


def _bool(value: bool, slot: Slot, out: list[Bound]) -> Key:
    out.append(bool(value))
    return "i1"


def _none(value: None, slot: Slot, out: list[Bound]) -> Key:
    return (type(None), None)


def _typed(value: Any, slot: Slot, out: list[Bound]) -> Key:
    """A parameter whose annotation fixes the type."""
    elem = slot.elem
    if isinstance(elem, Pointer):
        passed: list[Bound] = []
        key = (RULES.get(type(value)) or _rule_for(value))(value, Slot(slot.name, align=slot.align), passed)
        if key == (type(None), None):
            return key
        buffer = passed[-1] if passed else None  # the number 1 is not passed
        if not isinstance(buffer, Buffer) or buffer.dtype.itemsize != elem.to.itemsize:
            found = f"a pointer to {buffer.dtype}" if isinstance(buffer, Buffer) else type(value).__name__
            raise ArgumentError(f"`{slot.name}` is declared {elem}, got {found}")
        out.append(Buffer(buffer.address, buffer.nbytes, elem.to, buffer.writable, buffer.owner, buffer.name, buffer.before))
        return _pointer_key(elem.to, buffer.address, slot)
    assert elem is not None
    try:
        number = float(value) if elem.is_float else bool(value) if elem is i1 else operator.index(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"`{slot.name}` is declared {elem}, got {type(value).__name__}") from None
    out.append(number)
    if elem.is_float or elem is i1:
        return elem.name
    low, high = (-(1 << elem.bits - 1), (1 << elem.bits - 1) - 1) if elem.is_signed else (0, (1 << elem.bits) - 1)
    if not low <= number <= high:
        raise ArgumentError(f"`{slot.name}` = {number} does not fit its declared type {elem}")
    return f"{elem.name}/16" if number % ALIGNMENT == 0 and slot.specialize and slot.align else elem.name


# --- pointers


def _pointer_key(elem: DType, address: int, slot: Slot) -> str:
    plain, aligned = _POINTER_KEYS[elem]
    return aligned if address % ALIGNMENT == 0 and slot.specialize and slot.align else plain


_POINTER_KEYS = {elem: (f"*{elem}", f"*{elem}/{ALIGNMENT}") for elem in DTYPES.values()}


def _array(array: np.ndarray, slot: Slot, out: list[Bound]) -> Key:
    elem = _ELEMENTS.get(array.dtype) or _numpy_element(array.dtype, slot)
    flags = array.flags
    address = _data_of(array)
    if flags.c_contiguous:
        before, after = 0, array.nbytes
    elif any(n > 1 and s == 0 for n, s in zip(array.shape, array.strides, strict=True)):
        before, after = _around(array, address)
    else:
        before, after = extent(array.shape, array.strides, array.itemsize)
    out.append(Buffer(address, after, elem, flags.writeable, array, slot.name, before))
    return _pointer_key(elem, address, slot)


def _torch(tensor: Any, slot: Slot, out: list[Bound]) -> Key:
    if not tensor.is_cpu:
        raise _wrong_device(slot, str(tensor.device))
    elem = _ELEMENTS.get(tensor.dtype) or _named_element(tensor.dtype, slot)
    try:
        address, strides = tensor.data_ptr(), tensor.stride()
    except RuntimeError as error:  # one that is sparse, or only traced
        raise ArgumentError(f"`{slot.name}` has no memory that a kernel could use: {error}") from None
    if 0 in strides:  # stretched: as for arrays
        storage = tensor.untyped_storage()
        before = address - storage.data_ptr()
        after = storage.nbytes() - before
    elif tensor.is_contiguous():
        before, after = 0, tensor.nbytes
    else:
        size = tensor.element_size()
        before, after = extent(tensor.shape, [s * size for s in strides], size)
    out.append(Buffer(address, after, elem, True, tensor, slot.name, before))
    return _pointer_key(elem, address, slot)


def _torch_itself(tensor: Any, slot: Slot, out: list[Bound]) -> Key:
    """As _torch, past the function modes a program may have entered: each question would take microseconds through them."""
    with sys.modules["torch"]._C.DisableTorchFunction():
        return _torch(tensor, slot, out)


def _tensor_like(tensor: Any, slot: Slot, out: list[Bound]) -> Key:
    """Any object with `data_ptr()` and `dtype`; what else it offers tells how far it reaches."""
    device = str(getattr(tensor, "device", "cpu"))
    if device.split(":")[0] != "cpu":
        raise _wrong_device(slot, device)
    elem = _ELEMENTS.get(tensor.dtype) or _named_element(tensor.dtype, slot)
    shape = getattr(tensor, "shape", None)
    stride = getattr(tensor, "stride", None)
    if shape is not None and callable(stride):
        before, after = extent(shape, [s * elem.itemsize for s in stride()], elem.itemsize)
    elif shape is not None:
        before, after = 0, int(np.prod(shape)) * elem.itemsize
    else:
        raise ArgumentError(f"`{slot.name}` has `data_ptr()` but no `shape`, so its size is not known")
    address = int(tensor.data_ptr())
    out.append(Buffer(address, after, elem, True, tensor, slot.name, before))
    return _pointer_key(elem, address, slot)


def _tensormap(wrapper: Any, slot: Slot, out: list[Bound]) -> Key:
    """A descriptor that lies in memory, as programs wrap it that fill one on the host."""
    address = int(wrapper.tma_desc_cpu_ptr())
    out.append(Buffer(address, TENSORMAP, u8, True, wrapper, slot.name))
    return _pointer_key(u8, address, slot)


def _dlpack(exporter: Any, slot: Slot, out: list[Bound]) -> Key:
    from . import dlpack  # NumPy's and PyTorch's arrays do not come this way

    device, _ = exporter.__dlpack_device__()
    if device not in dlpack.HOST_DEVICES:
        raise _wrong_device(slot, dlpack.DEVICES.get(device, f"DLPack device {device}"))
    view = dlpack.view(exporter)
    elem = DTYPES.get(NAMES.get(view.dtype, view.dtype))
    if elem is None:
        raise _unsupported_element(view.dtype, slot)
    before, after = extent(view.shape, [s * elem.itemsize for s in view.strides], elem.itemsize)
    out.append(Buffer(view.address, after, elem, view.writable, view.owner, slot.name, before))
    return _pointer_key(elem, view.address, slot)


def _buffer(buffer: Buffer, slot: Slot, out: list[Bound]) -> Key:
    out.append(buffer)
    return _pointer_key(buffer.dtype, buffer.address, slot)


def extent(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> tuple[int, int]:
    """How many bytes the elements reach below the first one's address, and from it on."""
    if 0 in shape:
        return 0, 0
    reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return -sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + itemsize


def _around(array: np.ndarray, address: int) -> tuple[int, int]:
    """As `extent`, of the memory that a stretched array, one with a stride of 0, is a view of: it is there to be indexed with strides
    that the kernel gets as numbers, so its own elements say nothing of where the kernel may go."""
    whole, base = array, array.base
    while base is not None:
        if isinstance(base, np.ndarray):
            whole = base
        base = getattr(base, "base", None)
    before, after = extent(whole.shape, whole.strides, whole.itemsize)
    shift = address - _data_of(whole)
    return before + shift, after - shift


def _numpy_element(dtype: np.dtype, slot: Slot) -> DType:
    elem = DTYPES.get(NAMES.get(dtype.name, "")) if dtype.isnative else None
    if elem is None:
        raise _unsupported_element(str(dtype), slot)
    _ELEMENTS[dtype] = elem
    return elem


def _named_element(dtype: Any, slot: Slot) -> DType:
    elem = getattr(dtype, "elem", None) or element_named(str(dtype).rpartition(".")[2])
    if not isinstance(elem, DType):
        raise _unsupported_element(str(dtype), slot)
    _ELEMENTS[dtype] = elem
    return elem


def element_named(name: str) -> DType | None:
    """An element type by any of its usual names."""
    return DTYPES.get(NAMES.get(name, name))


def element_of(dtype: Any) -> DType | None:
    """The element type that a dtype object of NumPy, PyTorch or the language stands for."""
    found = getattr(dtype, "elem", None) or element_named(getattr(dtype, "name", str(dtype).rpartition(".")[2]))
    return found if isinstance(found, DType) else None


_ELEMENTS: dict[Any, DType] = {e.numpy: e for e in DTYPES.values() if e.numpy == e.storage or e is i1}  # others as they are met


def _wrong_device(slot: Slot, device: str) -> LaunchError:
    return LaunchError(f"`{slot.name}` is on the device `{device}`, kernels run on the CPU", help=f"pass {slot.name}.cpu()")


def _unsupported_element(name: str, slot: Slot) -> LaunchError:
    help = f"pass an array of one of these, such as np.asarray({slot.name}, np.float32), or its bytes, {slot.name}.view(np.uint8)"
    if name.startswith("torch."):
        help = f"pass a tensor of one of these, such as {slot.name}.to(torch.float32), or its bytes, {slot.name}.view(torch.uint8)"
    elif name[:1] in ("<", ">") and name[1:2] in "fiu":
        help = f"pass {slot.name}.astype({slot.name}.dtype.newbyteorder('=')): kernels read this machine's order of bytes"
    return ArgumentError(f"`{slot.name}` has elements of type {name}", notes=[f"element types: {', '.join(DTYPES)}"], help=help)


# the data pointer comes first in NumPy's public struct (PyArrayObject_fields), after the object header
_HEADER = object.__basicsize__
_probe = np.empty(3)
_size_at = ctypes.c_size_t.from_address


def _data_of(array: np.ndarray) -> int:
    return _size_at(id(array) + _HEADER).value


if _data_of(_probe) != _probe.ctypes.data:  # another object layout: ask politely, eight times slower

    def _data_of(array: np.ndarray) -> int:
        return array.ctypes.data


# --- tuples, and what is known at compile time


def _tuple(values: tuple[Any, ...], slot: Slot, out: list[Bound]) -> Key:
    parts = [Slot(f"{slot.name}.{i}", specialize=slot.specialize, align=slot.align) for i in range(len(values))]
    return ("tuple", type(values), tuple(part.describe(v, out) for part, v in zip(parts, values, strict=True)))


def _descriptor(value: Any, slot: Slot, out: list[Bound]) -> Key:
    return _tuple(_described(value), slot, out)


def _described(value: Any) -> TensorDescriptor:
    """A descriptor made on the host, as a kernel sees it: base, extents and strides at run time, the rest compiled in."""
    block, padding = constexpr(block_shape(value.block_shape)), constexpr(str(value.padding))
    return TensorDescriptor(value.base, tuple(value.shape), tuple(value.strides), block, padding)  # type: ignore[arg-type]


def block_shape(extents: Iterable[Any]) -> tuple[int, ...]:
    """The block that a descriptor moves: one to five positive ints."""
    found = tuple(getattr(n, "value", n) for n in extents)
    fine = [hasattr(n, "__index__") and not isinstance(n, bool) and n.__index__() > 0 for n in found]
    if not (1 <= len(found) <= 5 and all(fine)):
        raise ArgumentError(f"the block of a descriptor is {list(found)}", help="give it one extent per axis, one to five positive ints")
    return tuple(n.__index__() for n in found)


def _known(value: Any, slot: Slot, out: list[Bound]) -> Key:
    return constant_key(value)


def constant_key(value: Any) -> Key:
    """Tells apart whatever a kernel can tell apart: 1, True and 1.0 among others."""
    kind = type(value)
    if kind is int or kind is bool or kind is str or value is None:
        return (kind, value)
    if kind is tuple or kind is float:
        return (kind, text_of(value))
    if kind.__name__ == "constexpr":
        return constant_key(value.value)
    if getattr(value, "is_jit_function", False):
        return (kind, value)
    if isinstance(value, np.generic):
        return constant_key(_number(value))
    return (kind, text_of(value))


def _number(scalar: np.generic) -> Any:
    """Python's own value of a NumPy scalar."""
    value = scalar.item()
    if isinstance(value, np.generic):  # a long double, to which Python has no equal
        return complex(scalar) if scalar.dtype.kind == "c" else float(scalar)
    return value


def _rule_for(value: object) -> Rule:
    """The rule for a type met for the first time."""
    kind = type(value)
    rule = next((rule for test, rule in _BY_NATURE if test(value)), None)
    if rule is None:
        rule = _refuse
    RULES[kind] = rule
    return rule


def _refuse(value: object, slot: Slot, out: list[Bound]) -> Key:
    advice = f"declare `{slot.name}: tl.constexpr`"
    if isinstance(value, complex):
        advice = "pass the real and the imaginary part"
    if isinstance(value, (list, set, dict, range)):
        advice = "pass a NumPy array, or a tuple of numbers"
    raise ArgumentError(
        f"`{slot.name}` is {_a(type(value).__name__)}, which a kernel does not take", notes=[f"it takes {SUPPORTED}"], help=advice
    )


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def _numpy_scalar(value: np.generic, slot: Slot, out: list[Bound]) -> Key:
    return slot.describe(_number(value), out) if value.dtype.kind in "biuf" else _refuse(value, slot, out)


RULES: dict[type, Rule] = {
    bool: _bool,
    int: _int,
    float: _float,
    type(None): _none,
    tuple: _tuple,
    np.ndarray: _array,
    Buffer: _buffer,
}
_BY_NATURE: list[tuple[Callable[[Any], bool], Rule]] = [  # the first that holds, for a type that is not in the table
    (lambda v: isinstance(v, np.ndarray), _array),
    (lambda v: isinstance(v, np.generic), _numpy_scalar),
    (lambda v: getattr(v, "is_jit_function", False) or type(v).__name__ == "constexpr", _known),
    (lambda v: isinstance(getattr(v, "elem", None), DType | Pointer), _known),  # a dtype of the language
    (lambda v: isinstance(v, int), lambda v, slot, out: _int(int(v), slot, out)),
    (lambda v: isinstance(v, float), _float),
    (lambda v: isinstance(v, tuple), _tuple),
    (lambda v: hasattr(v, "block_shape") and hasattr(v, "base"), _descriptor),
    (lambda v: f"{type(v).__module__}.{type(v).__name__}" in ("torch.Tensor", "torch.nn.parameter.Parameter"), _torch_itself),
    (lambda v: hasattr(v, "data_ptr") and hasattr(v, "is_cpu"), _torch),
    (lambda v: hasattr(v, "data_ptr") and hasattr(v, "dtype"), _tensor_like),
    (lambda v: hasattr(v, "__dlpack__") and hasattr(v, "__dlpack_device__"), _dlpack),
    (lambda v: hasattr(v, "tma_desc_cpu_ptr"), _tensormap),
]


# --- from keys to parameters


def parameter(name: str, value: Any, key: Key) -> Parameter:
    """The parameter that a value with this key makes."""
    if isinstance(key, str):
        text, _, divisible = key.partition("/")
        elem: Elem = Pointer(DTYPES[text[1:]]) if text[0] == "*" else DTYPES[text]
        return Parameter(name, Tile(elem), divisible=int(divisible or 1))
    assert isinstance(key, tuple)
    if key[0] == "tuple":
        value = value if isinstance(value, tuple) else _described(value)
        parts = [parameter(f"{name}.{i}", v, k) for i, (v, k) in enumerate(zip(value, key[2], strict=True))]
        return Parameter(name, value=type(value)(*parts) if hasattr(value, "_fields") else tuple(parts))
    if type(value).__name__ == "constexpr":
        value = value.value
    return Parameter(name, value=_number(value) if isinstance(value, np.generic) else value)


def declared_element(annotation: object) -> Elem | None:
    """The type that an annotation fixes: `tl.int64`, "i64", "*fp32"; None where it fixes none."""
    if isinstance(annotation, str):
        text = annotation.strip("'\" ")
        if text.startswith("*"):
            inner = element_named(text[1:].removeprefix("k"))
            return Pointer(inner, text[1] == "k") if inner else None
        return None if text in ("bool", "half") else element_named(text.rpartition(".")[2])  # Python's bool declares nothing
    found = annotation if isinstance(annotation, DType | Pointer) else getattr(annotation, "elem", None)
    return found if isinstance(found, DType | Pointer) else None
