"""What the loop climbs with: optimisers, and the gradients that they are given."""
