"""Inpainting with the deep image prior (Ulyanov et al. 2018)."""
