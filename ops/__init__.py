"""Running it: server, worker and pictures of both. Not part of the installed package."""
