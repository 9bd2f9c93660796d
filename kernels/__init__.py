"""Ready kernels: each module holds a kernel, its wrapper, a NumPy reference and the shapes to test and time."""

if not __name__.startswith("tiledsl."):
    raise ImportError("import this package as tiledsl.kernels")
