"""How processes talk: frames, channels and the messenger."""
