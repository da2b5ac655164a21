class InboundMessages:
    """Stores what customers write."""
