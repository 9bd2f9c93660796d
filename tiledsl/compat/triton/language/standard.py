"""`triton.language.standard`: what Triton writes in the language itself."""

from ....language import *
from ....language import max, min, sum
