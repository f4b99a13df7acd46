"""What a cell of an atlas is called: its classes, its latents, and whether judges see the same in its icon."""
