"""Memory adapters: fakes of the ports for fast tests, and the plainest reading of what each port promises."""
