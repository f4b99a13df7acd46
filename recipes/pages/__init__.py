"""HTML pages that open from disk, rendered from the manifest alone."""
