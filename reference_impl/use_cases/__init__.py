"""What the backend does for people, units and the provider; every effect goes through a port."""
