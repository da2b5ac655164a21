"""The step library: one module for each area, all loaded by the plugin, each usable from every feature."""
