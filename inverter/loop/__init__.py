"""The loop's step, and how it is run: kernel by kernel, or recorded as a CUDA graph."""
