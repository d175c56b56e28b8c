"""The keepers of the ports, each in the folder of its technology, and what puts them together: `container`."""
