"""What every figure, table and section of a page is made of; no science."""
