"""One file a section. A section is a pure function of a `RunView`; the module's docstring is its title."""
