"""The target as a function of images or activations: forward passes, gradients, layers and baselines."""
