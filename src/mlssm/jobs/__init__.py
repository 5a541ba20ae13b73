"""What the commands do. Only here are training, evaluation, tracking and mapping brought together."""
