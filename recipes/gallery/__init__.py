"""Galleries: optimised pictures of units and classes, and the natural patches that excite units most."""
