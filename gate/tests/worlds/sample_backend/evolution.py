class EvolutionProvider:
    """Talks to the Evolution API."""
