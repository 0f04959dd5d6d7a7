"""How the base model is made and measured; a maintainer's tools."""
