"""How the base model is trained and measured: maintainers' tools, which are not shipped."""
