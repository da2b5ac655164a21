"""A backend just large enough to be looked at by the gate."""
