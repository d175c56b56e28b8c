"""Migrations: they make the tables, and own the truth about them. Run by `playhead db upgrade`."""
