"""Facts: what the checks look at. Each is read once, read only, and knows nothing of the reference backend."""
