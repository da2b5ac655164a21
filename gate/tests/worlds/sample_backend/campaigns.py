class CampaignService:
    """Sends to many."""
