"""What every keeper of the search index shares: the query language, typed values, cursors.

Read `conditions` for what a query can say, `lucene` for how it is written, `request` for a whole search.
"""
