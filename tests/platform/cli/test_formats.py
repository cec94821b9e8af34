"""The verb `hven formats`: what reads and writes files, and with which options."""

import json


def test_formats_lists_readers_and_exporters_with_the_files_they_take(command):
    said = command("formats")
    assert said.status == 0
    assert "simulated_images" in said.out
    told = json.loads(command("formats --json").out)
    csv = [one for one in told if one["name"] == "csv"]
    assert [one["direction"] for one in csv] == ["in", "out"]
    assert "*.ecsv" in csv[0]["patterns"]
    assert csv[0]["produces"] == {"": "table"}
    assert csv[1]["takes"] == ["table"]


def test_one_format_is_shown_with_its_options_shared_ones_too(command):
    card = command("formats fits_images").out
    assert "Reader fits_images" in card
    assert all(word in card for word in ("Makes: images", "default", "position", "identity", "-o "))
    (told,) = json.loads(command("formats simulated_images --json").out)
    assert told["options"]["properties"]["simulator"]["enum"] == ["bubbles", "reionisation", "gaussian"]
    both = command("formats csv").out
    assert "Reader csv" in both
    assert "Exporter csv" in both


def test_an_unknown_format_is_told_with_the_nearest(command):
    said = command("formats fits_image")
    assert said.status == 1
    assert "unknown-reader" in said.err
    assert "fits_images" in said.err
