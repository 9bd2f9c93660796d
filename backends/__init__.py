"""The backends that come with tiledsl; found by name through `tiledsl.backend.registry`."""

if not __name__.startswith("tiledsl."):
    raise ImportError("import this package as tiledsl.backends")
