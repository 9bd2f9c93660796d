"""What earlier versions of Triton had here, and programs still import."""
