"""A multi-tenant WhatsApp backend on an Evolution API server: the reference that scenarios, gate and rehearsal run against."""
