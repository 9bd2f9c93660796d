"""`triton.language.math`."""

from ....language.math import *
from ....language.math import abs
