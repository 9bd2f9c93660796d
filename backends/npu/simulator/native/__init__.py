"""The simulator's native code: a function per instruction and types, and the loop that calls them."""
