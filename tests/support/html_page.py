"""Reads an HTML page as a browser would, and refuses what is not well-formed or comes from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "br"}
_FETCHING = {"script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "form", "video", "audio"}


class Page(HTMLParser):
    """A page's elements, texts and links.

    Attributes:
        tags: The names of all elements, in their order.
        attributes: The attributes of each of them.
        texts: What stands between the tags, without blanks around it.
        rows: The texts of each table row.
        ids: All ids.
        links: All targets of links.
    """

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []
        assert not _FETCHING & set(self.tags)
        assert "url(" not in text
        assert "@import" not in text
        for attributes in self.attributes:
            assert not {"src", "srcset", "onclick", "onload"} & set(attributes)
        assert all(link.startswith("#") and link[1:] in self.ids for link in self.links)
        assert len(set(self.ids)) == len(self.ids)

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for attributes in self.attributes if "id" in attributes]

    @property
    def links(self) -> list[str]:
        return [str(attributes["href"]) for attributes in self.attributes if "href" in attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        assert len(dict(attrs)) == len(attrs), "an attribute stands twice"
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        text = data.strip()
        if text:
            self.texts.append(text)
            if "tr" in self._open:
                self.rows[-1].append(text)
