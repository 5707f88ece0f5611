"""The page: what its charts show, and how it is laid out."""
