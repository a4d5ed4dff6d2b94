"""What can be known of a checkpoint without opening it. Imports neither torch nor timm."""
