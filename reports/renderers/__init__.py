"""One file a format. A renderer is a pure function from a `Document` to text."""
