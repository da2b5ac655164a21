"""The schema before and after the integration, and the way from one to the other."""
