"""`triton.language.random`."""

from .... import language as _language

for _name in ("philox", "philox_impl", "rand", "rand4x", "randint", "randint4x", "randn", "randn4x", "uint_to_uniform_float",
              "uint32_to_uniform_float", "pair_uniform_to_normal"):  # fmt: skip
    if hasattr(_language, _name):
        globals()[_name] = getattr(_language, _name)
