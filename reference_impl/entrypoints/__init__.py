"""How requests, wake-ups and commands come in."""
