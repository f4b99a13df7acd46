"""`inverter compare`: how alike layers and networks represent pictures, and how they represent warped ones."""
