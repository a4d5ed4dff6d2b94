"""The pages: the service for people, made from what the API's endpoints call; readable without scripts."""
