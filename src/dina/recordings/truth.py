"""What a simulation knows about its recording: expected responses, noise, and everything that was planted."""
