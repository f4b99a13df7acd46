"""`inverter adversarial`: the smallest change of a picture that makes a network see something else."""
