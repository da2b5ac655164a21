"""Small worlds that the checks pass in, and that saboteurs break: schemas, an application, its settings and its log."""
