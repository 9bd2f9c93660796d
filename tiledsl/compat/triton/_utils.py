"""Small things that Triton keeps in `_utils`: dtypes by their canonical names."""

from typing import Any

type_canonicalisation_dict = {
    "bool": "i1", "int1": "i1", "uint1": "u1", "i1": "i1",
    **{f"int{n}": f"i{n}" for n in (8, 16, 32, 64)}, **{f"uint{n}": f"u{n}" for n in (8, 16, 32, 64)},
    "float8_e4m3fn": "fp8e4nv", "float8_e4m3fnuz": "fp8e4b8", "float8_e5m2": "fp8e5", "float8_e5m2fnuz": "fp8e5b16",
    "float8e5": "fp8e5", "float8e4nv": "fp8e4nv", "float8e4b8": "fp8e4b8", "float8e4b15": "fp8e4b15", "float8e5b16": "fp8e5b16",
    "half": "fp16", "float16": "fp16", "bfloat16": "bf16", "float": "fp32", "float32": "fp32", "double": "fp64", "float64": "fp64",
    "void": "void",
}  # fmt: skip
type_canonicalisation_dict.update({name: name for name in list(type_canonicalisation_dict.values())})


def canonicalize_dtype(dtype: Any) -> str:
    """fp32 for torch.float32, and so on."""
    return type_canonicalisation_dict[str(dtype).split(".")[-1]]
