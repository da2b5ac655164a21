"""What is true of connections, messages and campaigns whatever stores or carries them: no third party, no I/O."""
