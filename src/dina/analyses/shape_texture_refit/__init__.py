"""Shape and texture, refitted: does either suffice for towers fitted on it alone."""
