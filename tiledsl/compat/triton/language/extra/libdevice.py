"""`libdevice`: functions beyond those of the language."""

from .....language import libdevice as _functions

globals().update({name: value for name, value in vars(_functions).items() if not name.startswith("_")})
