"""The signals of the first hour, one file each: what it reads, from which checkpoint on it is judged, and its limits."""
