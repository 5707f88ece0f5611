"""Room of files: one module per artifact, holding its schema, its reader and its writer."""
