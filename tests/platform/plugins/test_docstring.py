from hven.plugins.docstring import read_docstring


def test_a_docstring_is_read_in_parts():
    doc = read_docstring(
        """First line
        goes on.

        Body.

        More body.

        Parameters
        ----------
        a, b : float, optional
            Both
            of them.

            A second paragraph.
        c

        Notes
        -----
        A note: with a colon.
        """
    )
    assert doc.summary == "First line goes on."
    assert doc.body == "Body.\n\nMore body."
    assert doc.parameters == {
        "a": "Both of them. A second paragraph.",
        "b": "Both of them. A second paragraph.",
        "c": "",
    }
    assert doc.sections["Notes"] == "A note: with a colon."


def test_no_docstring_is_an_empty_one():
    doc = read_docstring(None)
    assert (doc.summary, doc.body, doc.sections, doc.parameters) == ("", "", {}, {})


def test_rules_in_the_text_are_no_sections_without_a_title():
    assert read_docstring("One.\n\n---\ntext").sections == {}
