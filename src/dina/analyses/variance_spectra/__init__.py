"""How fast does variance fall with rank in images, responses and maps."""
