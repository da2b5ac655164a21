"""Measurements: whole commands (`python -m harness.benchmarks`) and the fake beside its peers (`… harness.benchmarks.fake`)."""
