"""Elasticsearch: the search index at scale. `search_index` keeps the port."""
