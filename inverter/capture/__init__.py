"""The tensors of a network's layers: how they are addressed, captured, and arranged as maps."""
