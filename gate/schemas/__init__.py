"""JSON schemas of what people write, published for editors."""
