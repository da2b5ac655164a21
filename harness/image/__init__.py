"""Container images of the fake and of a Postgres that needs no registry: Dockerfiles and their builder."""
