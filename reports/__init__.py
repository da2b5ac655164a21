"""Generated go-live documents: what the journal of a run proves, section by section, and nothing that it does not."""
