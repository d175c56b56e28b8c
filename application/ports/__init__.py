"""The promises that the application relies on, one Protocol a file, named for a role.

Each has a memory adapter and one contract suite (`tests/contracts`) that every adapter passes.
"""
