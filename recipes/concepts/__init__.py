"""Concepts of a layer: vectors that separate pictures of a concept from others (TCAV), and components (CRAFT)."""
