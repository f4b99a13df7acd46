"""The attribution methods, one family a file: each a pure function that declares itself."""
