"""What a backend must do, in Gherkin, and the pytest plugin that holds a running backend to it."""
