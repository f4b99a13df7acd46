"""HTML pages that open from disk, made from the manifest alone."""
