"""Expected schemas that are shipped, as TOML; read with `gate.facts.expected.load`."""
