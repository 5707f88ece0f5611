"""Feature packs: reading them as untrusted input, and generating the synthetic one."""
