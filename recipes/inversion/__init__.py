"""Pre-images of layer codes (Mahendran & Vedaldi 2015)."""
