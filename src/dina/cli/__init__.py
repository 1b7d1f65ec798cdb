"""The command `dina`: it reads arguments, calls the package, prints results, and words errors in one sentence."""
