"""Measurements: whole commands (`python -m harness.benchmarks`), the gate by itself (`… .gate`), the fake beside its peers."""
