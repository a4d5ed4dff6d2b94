"""The pages: the service for people, made on the server from what the API's endpoints call; readable without scripts."""
