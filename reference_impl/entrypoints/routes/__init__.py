"""The HTTP routes, one module for each area."""
