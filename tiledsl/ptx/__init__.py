"""PTX, NVIDIA's assembly, inside kernels: straight-line code on registers, said again in the ops of tiles.

text.py reads it, registers.py holds what registers hold, instructions.py and conversions.py say what each instruction means.
Memory, jumps and what belongs to one GPU are refused by name. Source: the PTX ISA manual, sections 5, 6 and 9.7.
"""
