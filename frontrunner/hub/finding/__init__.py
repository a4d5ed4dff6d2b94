"""The hubs, what they offer, and which of it a request means."""
