"""The HTTP door: requests, responses, problems. Imports neither torch nor workers."""
