"""The T1 instruction set: what a core holds, what every instruction means, and the manual."""
