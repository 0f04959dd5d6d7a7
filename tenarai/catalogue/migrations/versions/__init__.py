"""One module a schema version, oldest first; never changed once released."""
