"""The same functions under the name that older code imports."""

from .. import libdevice as _functions

globals().update({name: value for name, value in vars(_functions).items() if not name.startswith("_")})
