"""What users write: fields, names, indices, priors and targets, parsed and checked."""
