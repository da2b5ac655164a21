"""Clients that others have published for the real server, unmodified, against the fake."""
