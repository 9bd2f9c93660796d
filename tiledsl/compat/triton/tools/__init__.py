"""What `triton.tools` offers here: descriptors of tensors and the formats of microscaling."""
