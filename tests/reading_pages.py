"""HTML pages as their readers see them."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page loads, links to and says."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.words, self.open_tags, self.headings = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag == "a":
            self.links.append(told["href"])
        else:
            self.loads += [told[key] for key in ("src", "href", "srcset", "data") if key in told]
        if tag in {"h1", "h2", "h3"}:
            self.headings.append("")
        if tag not in {"meta", "br", "img"}:
            self.open_tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        if not self.open_tags or self.open_tags[-1] != "style":
            self.words.append(data)
        if self.open_tags and self.open_tags[-1] in {"h1", "h2", "h3"}:
            self.headings[-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())
