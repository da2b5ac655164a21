"""What is fired at the running backend: each file is one group of rows of hostile input, each test names its row."""
