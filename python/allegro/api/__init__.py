"""The REST API: one router per noun, and its client."""
