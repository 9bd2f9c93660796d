"""`triton.language.math`."""

from ....language.math import *
from ....language.math import abs
from ....language.math import maximum as max  # as they were called before Triton 3
from ....language.math import minimum as min
