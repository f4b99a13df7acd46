"""Modified backward passes: rules for single operations, for LRP, DeepLIFT and excitation backpropagation."""
