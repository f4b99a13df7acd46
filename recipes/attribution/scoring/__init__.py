"""The target as a function of pictures or activations: forward passes, gradients, layers, baselines."""
