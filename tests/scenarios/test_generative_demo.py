"""The story of `hven demo generative`: at two training sizes the diffusion model is nearer to the truth than the GAN."""

import re

import pytest

import hven
from hven.compute import read_pipeline


def test_the_pipeline_of_the_generators_is_printed_for_copying_and_fits(command, tmp_path):
    said = command("demo generative --print")
    assert said.status == 0
    (tmp_path / "generators.yaml").write_text(said.out)
    copied = read_pipeline(tmp_path / "generators.yaml")
    assert set(copied.needs["gan_250_images"]) == {"gan_250"}
    assert len(copied.needs["generators"]) == 12
    hven.compute.check_pipeline(hven.create(tmp_path / "lake"), copied)
