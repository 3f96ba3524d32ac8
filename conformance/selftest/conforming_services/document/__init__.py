"""The document's own code, nearly as it stands: one package, URLs from the environment."""
