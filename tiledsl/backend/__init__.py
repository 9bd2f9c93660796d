"""What all backends share: the seam, the registry, lowering rules, instruction sets."""
