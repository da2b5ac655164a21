"""Proofs by planted bugs: what has never been seen to fail proves nothing."""
