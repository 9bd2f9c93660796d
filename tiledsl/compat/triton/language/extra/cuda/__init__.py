"""The same functions under the name that older code imports."""

from . import libdevice
