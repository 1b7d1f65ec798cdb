"""What is each pathway of the image tower worth, masked and fitted alone."""
