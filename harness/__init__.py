"""Things to test with, and probes of a running backend."""
