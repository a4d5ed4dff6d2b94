"""What is trained on: images and texts with classes, and how they are split. Imports torch."""
