"""Ways in which the server misbehaves: one file each, found by itself. See `harness.evolution.injection`."""
