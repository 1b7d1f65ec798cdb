"""Refitted subsets: do towers fitted anew on part of the neurons do as well."""
