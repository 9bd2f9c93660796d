"""What Triton does otherwise, by function: part of the reference, and what `coming_from_triton.md` is about."""

from __future__ import annotations

SATURATES = "leaves the result of an out-of-range conversion open; here it saturates, and NaN gives 0."
HINT = "uses it to steer a GPU compiler; here it is accepted and changes nothing."
ORDER = "leaves the order of summation open; here it is fixed, and so are the bits."
FIXED = "leaves the last bits to the GPU; here every machine gives the same."

DEVIATIONS: dict[str, str] = {
    "cast": SATURATES,
    "load": "leaves masked lanes without `other` undefined; here they are 0. Cache and eviction hints change nothing.",
    "store": "leaves open which of several values for one address stays; here it is that of the highest lane.",
    "arange": "refuses lengths that are not powers of two.",
    "dot": "leaves the order of summation open and may use TF32; here each element is one chain of fma over k, so that the result "
    "does not depend on the size of the blocks. `input_precision`, `allow_tf32` and `max_num_imprecise_acc` change nothing.",
    "sum": ORDER,
    "reduce": ORDER,
    "max": "ties and zeros of different sign depend on the order; here -0 lies below +0, and the lowest index wins.",
    "cumsum": ORDER,
    "cumprod": ORDER,
    "associative_scan": ORDER,
    "sort": "leaves the place of NaN open; here it comes after everything.",
    "topk": "leaves the place of NaN open.",
    "histogram": "leaves values outside of the bins undefined; here they are not counted.",
    "exp": FIXED, "exp2": FIXED, "log": FIXED, "log2": FIXED, "sin": FIXED, "cos": FIXED, "erf": FIXED, "rsqrt": FIXED, "sigmoid": FIXED,
    "sqrt": "approximates it on some GPUs; here it is correctly rounded.",
    "fdiv": "approximates it unless `ieee_rounding` is set; here it is always correctly rounded.",
    "multiple_of": "believes it; here the compiler finds out itself.",
    "max_contiguous": HINT,
    "max_constancy": HINT,
    "assume": HINT,
    "debug_barrier": "lets threads of a block meet; here a program is one thread.",
    "make_block_ptr": "leaves elements out of bounds undefined without `padding_option`; here they are 0.",
    "device_print": "prints while the kernel runs; here what was printed is shown when the launch is over.",
    "device_assert": "may report it at a later call; here the launch raises it.",
    "atomic_add": "leaves masked lanes undefined; here they give 0. With `deterministic=True` floats are added in program order.",
    "atomic_cas": "leaves the order open; here programs start in ascending order.",
    "range": "takes hints for pipelining; here they change nothing.",
    "randn": "uses the GPU's logarithm and cosine; here these are exact definitions, so the last bits may differ from a GPU's.",
    "randn4x": "uses the GPU's logarithm and cosine; here these are exact definitions, so the last bits may differ from a GPU's.",
}  # fmt: skip
