"""The Hugging Face Hub through its own client: metadata, lists, pinned downloads."""
