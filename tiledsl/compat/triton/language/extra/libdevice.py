"""`libdevice`: functions beyond those of the language."""

from .....language import math as _math

try:
    from .....language import libdevice as _functions
except ImportError:  # what there is until then
    _functions = _math  # type: ignore[assignment]

globals().update({name: value for name, value in vars(_functions).items() if not name.startswith("_")})
