"""The previous release of the backend: what a rollback puts back."""
