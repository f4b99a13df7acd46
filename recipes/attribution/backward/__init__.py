"""Modified backward passes: rules for functions, as LRP, DeepLIFT and excitation backpropagation need them."""
