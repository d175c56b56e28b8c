"""What serves one process without a broker or a search server: engine threads and SQLite FTS5."""
