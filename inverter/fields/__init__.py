"""Receptive fields, traced through the operations of a forward pass."""
