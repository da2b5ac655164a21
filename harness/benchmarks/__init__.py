"""Measurements: whole commands (`python -m harness.benchmarks`), the gate (`… harness.benchmarks.gate`) and the fake beside its peers (`… harness.benchmarks.fake`)."""
