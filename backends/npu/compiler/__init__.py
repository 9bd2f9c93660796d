"""From a kernel to T1 words: a file per stage, in the order a kernel meets them."""
