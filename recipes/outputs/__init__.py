"""The output folder: pictures, manifest, journal and lock, each written atomically."""
