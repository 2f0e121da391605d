"""What the framework itself brings as a load unit."""
