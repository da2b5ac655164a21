"""The steps of the smoke test, one file each, in the order of `order`."""
