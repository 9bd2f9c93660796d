"""Native code in this process without LLVM's loader: images of object files, and where they are put."""
