"""The stores on SQLAlchemy, for PostgreSQL and SQLite; `store` puts them together."""
