"""`ctx.service.search`: what is in the index, and what matches."""

from __future__ import annotations

from sqlalchemy import text

from tamago.app import Service


class SearchService(Service):
    def add(self, number: int, title: str, body: str) -> None:
        """Put a text into the index."""
        with self.app.db.begin() as connection:
            connection.execute(
                text("INSERT INTO search(rowid, title, body) VALUES (:number, :title, :body)"),
                {"number": number, "title": title, "body": body},
            )

    def find(self, words: str) -> list[int]:
        """Return the numbers of the texts that have all of these words in them, best first."""
        query = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
        if not query:
            return []
        with self.app.db.connect() as connection:
            rows = connection.execute(text("SELECT rowid FROM search WHERE search MATCH :query ORDER BY rank"), {"query": query})
            return [row.rowid for row in rows]
