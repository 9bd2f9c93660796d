"""Another CPU backend of Triton, whose programs make its driver the active one."""
