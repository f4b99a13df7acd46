"""DeepDream (Mordvintsev et al. 2015)."""
