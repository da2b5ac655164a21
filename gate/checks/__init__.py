"""The checks of the release gate: one file each, found by the registry."""
