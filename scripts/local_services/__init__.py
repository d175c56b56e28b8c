"""Real servers for tests on any machine: given by URL, in containers, or from the machine's own packages."""
