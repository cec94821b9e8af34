"""Readers of images: conformance, which axis is which, columns, places on the sky, and real files into a lake."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

import hven
from hven.errors import (
    DataRefusedError,
    MissingColumnError,
    MissingDependencyError,
    ParameterError,
    TooFewObjectsError,
    UnreadableFileError,
)
from hven.testing import ReaderSuite
from hven_plugins.files import cutouts, fits_cutouts, fits_images, hdf5_images, numpy_images, pictures
from hven_plugins.files.image_batch import image_batch

SHARED = os.environ.get("HVEN_SHARED_DATA", "")
STACK = np.random.default_rng(0).normal(size=(5, 12, 10)).astype(np.float32)


def sky(pixels=200, scale=0.5):
    """A header of an image about (150, 2) deg with pixels of `scale` arcsec, turned by 30 degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [pixels / 2, pixels / 2]
    turn = np.radians(30)
    wcs.wcs.cd = scale / 3600 * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return wcs.to_header()


def mosaic(folder, positions=((59.7, 79.7), (119.7, 49.7), (1.7, 99.7), (900.0, 900.0))):
    """An image whose pixels are numbered, and a table of positions given in its pixels (x, y)."""
    image = np.arange(200 * 200, dtype=np.float32).reshape(200, 200)
    header = sky()
    header["BUNIT"], header["FILTER"] = "nJy", "r"
    fits.PrimaryHDU(image, header).writeto(folder / "field_sci.fits", overwrite=True)
    where = WCS(sky()).pixel_to_world(*np.array(positions).T)
    places = zip(where.ra.deg.tolist(), where.dec.deg.tolist(), strict=True)
    lines = [f"{i},{ra!r},{dec!r},{i * 0.5}" for i, (ra, dec) in enumerate(places)]
    (folder / "positions.csv").write_text("\n".join(["source_id,ra,dec,redshift", *lines]) + "\n")
    return folder / "field_sci.fits"


class TestNumpyImages(ReaderSuite):
    reader = numpy_images

    def sample(self, folder):
        np.savez(folder / "maps.npz", images=STACK, zeta=np.arange(5.0), name=np.array(list("abcde")))
        return folder / "maps.npz"


class TestOneNumpyArray(ReaderSuite):
    reader = numpy_images

    def sample(self, folder):
        np.save(folder / "maps.npy", STACK)
        return folder / "maps.npy"


class TestPictures(ReaderSuite):
    reader = pictures

    def sample(self, folder):
        Image.fromarray((255 * np.random.default_rng(1).random((30, 40, 3))).astype(np.uint8)).save(folder / "a.png")
        return folder / "a.png"


class TestFitsImages(ReaderSuite):
    reader = fits_images

    def sample(self, folder):
        table = fits.BinTableHDU.from_columns([fits.Column("ZETA", "D", array=np.arange(5.0))])
        fits.HDUList([fits.PrimaryHDU(STACK), table]).writeto(folder / "maps_stack.fits")
        return folder / "maps_stack.fits"


class TestFitsCutouts(ReaderSuite):
    reader = fits_cutouts

    def sample(self, folder):
        path = mosaic(folder)
        type(self).options = {"positions": str(folder / "positions.csv"), "size": 16}
        return path


class TestHdf5Images(ReaderSuite):
    reader = hdf5_images

    def sample(self, folder):
        import h5py

        with h5py.File(folder / "maps.h5", "w") as held:
            held["data/images"], held["data/zeta"] = STACK, np.arange(5.0)
        return folder / "maps.h5"


def only(reader, path, **options):
    (batch,) = reader(str(path), **options)
    return batch.parts[""], batch


@pytest.mark.parametrize(
    ("shape", "layout", "sizes"),
    [
        ((5, 12, 10), "auto", (5, 1, 12, 10)),
        ((5, 3, 12, 10), "auto", (5, 3, 12, 10)),
        ((5, 12, 10, 3), "auto", (5, 3, 12, 10)),
        ((12, 10), "auto", (1, 1, 12, 10)),
        ((12, 10, 3), "auto", (1, 3, 12, 10)),
        ((12, 10, 3), "nyx", (12, 1, 10, 3)),
        ((3, 12, 10), "byx", (1, 3, 12, 10)),
        ((40, 64, 64, 4), "auto", (40, 4, 64, 64)),
    ],
)
def test_axes_are_told_apart(shape, layout, sizes):
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    made = image_batch(values, {}, "a.npy", layout=layout).parts[""]
    assert tuple(made.flux.sizes[axis] for axis in ("object", "band", "y", "x")) == sizes
    assert np.array_equal(np.sort(made.flux.values.ravel()), values.ravel())


def test_bands_that_come_last_are_moved_and_named():
    values = np.zeros((4, 9, 9, 3))
    values[..., 2] = 7
    made = image_batch(values, {}, "a.npy").parts[""]
    assert made.band.values.tolist() == ["red", "green", "blue"]
    assert float(made.flux.sel(band="blue").min()) == 7
    assert image_batch(values, {}, "a.npy", bands=["i", "r", "g"]).parts[""].band.values.tolist() == ["i", "r", "g"]
    with pytest.raises(ParameterError, match="2 names for 3 bands"):
        image_batch(values, {}, "a.npy", bands=["i", "r"])
    with pytest.raises(ParameterError, match="2 axes"):
        image_batch(values, {}, "a.npy", layout="yx")


def test_other_arrays_are_columns_vectors_become_several(tmp_path):
    np.savez(tmp_path / "m.npz", x=STACK, theta=np.arange(10.0).reshape(5, 2), tag=np.arange(5), note=np.ones(3))
    made, batch = only(numpy_images, tmp_path / "m.npz", columns={"theta_tag": "tag"}, units={"theta_0": "mK"})
    assert set(made.data_vars) == {"flux", "image_name", "theta_0", "theta_1", "theta_tag"}
    assert made.theta_1.values.tolist() == [1, 3, 5, 7, 9]
    assert batch.columns[0].unit == "mK"
    with pytest.raises(MissingColumnError, match="tagg"):
        only(numpy_images, tmp_path / "m.npz", columns={"a": "tagg"})
    with pytest.raises(UnreadableFileError, match="no array 'y'"):
        only(numpy_images, tmp_path / "m.npz", images="y")
    with pytest.raises(DataRefusedError, match="3,"):
        only(numpy_images, tmp_path / "m.npz", columns={"n": "note"})


def test_arrays_of_python_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFileError):
        only(numpy_images, tmp_path / "bad.npy")


def test_what_is_no_image_is_refused(tmp_path):
    np.savez(tmp_path / "m.npz", x=np.arange(5))
    with pytest.raises(UnreadableFileError, match="no images"):
        only(numpy_images, tmp_path / "m.npz")
    fits.BinTableHDU.from_columns([fits.Column("A", "D", array=np.arange(5.0))]).writeto(tmp_path / "t_images.fits")
    with pytest.raises(UnreadableFileError, match="no image"):
        only(fits_images, tmp_path / "t_images.fits")


def test_pictures_of_every_mode_are_read(tmp_path):
    grey = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)
    for mode, bands in (("L", 1), ("RGB", 3), ("RGBA", 3), ("P", 3), ("LA", 1), ("1", 1), ("CMYK", 3)):
        path = tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.fromarray(grey).convert(mode).save(path)
        made, _ = only(pictures, path)
        assert tuple(made.flux.shape) == (1, bands, 6, 8), mode
        assert made.image_name.values.tolist() == [mode]
    assert np.array_equal(only(pictures, tmp_path / "L.png")[0].flux.values[0, 0], grey)
    deep = (np.arange(48).reshape(6, 8) * 1000).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(only(pictures, tmp_path / "deep.png")[0].flux.values[0, 0], deep)


def test_a_folder_of_pictures_is_a_dataset_and_one_of_another_size_is_set_aside(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        shape = (9, 9, 3) if i else (5, 5, 3)
        Image.fromarray((255 * rng.random(shape)).astype(np.uint8)).save(folder / f"g{3 - i}.png")
    lake = hven.create(tmp_path / "lake")
    report = hven.ingest_files(lake, folder, name="galaxies", progress=False)
    assert report.rows == 3
    assert [Path(file).name for file, _ in report.set_aside] == ["g3.png"]
    kept = lake["galaxies"].dataset().compute()
    assert lake["galaxies"].kind == "images"
    assert kept.flux.shape == (3, 3, 9, 9)
    for i, name in enumerate(kept.image_name.values):
        with Image.open(folder / f"{name}.png") as picture:
            assert np.array_equal(kept.flux.values[i].transpose(1, 2, 0), np.asarray(picture))


def test_extensions_are_images_with_names_units_and_places(tmp_path):
    planes = []
    for i in range(3):
        header = sky(20)
        header["CRVAL1"], header["BUNIT"] = 150.0 + i, "nJy"
        planes.append(fits.ImageHDU(STACK[i], header, name=f"G{i}"))
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(tmp_path / "g_cutouts.fits")
    made, batch = only(fits_images, tmp_path / "g_cutouts.fits")
    assert np.array_equal(made.flux.values[:, 0], STACK[:3])
    assert made.flux.attrs["units"] == "nJy"
    assert batch.position == ("ra", "dec")
    assert made.ra.values == pytest.approx([150, 151, 152], abs=0.01)


def test_extensions_of_unequal_shapes_are_refused_unless_one_is_chosen(tmp_path):
    made = [fits.ImageHDU(np.zeros(s), name=n) for s, n in (((4, 4), "A"), ((5, 5), "B"))]
    fits.HDUList([fits.PrimaryHDU(), *made]).writeto(tmp_path / "u_images.fits")
    with pytest.raises(DataRefusedError, match="2 shapes"):
        only(fits_images, tmp_path / "u_images.fits")
    assert only(fits_images, tmp_path / "u_images.fits", hdu="B")[0].flux.shape == (1, 1, 5, 5)


def test_a_table_beside_a_cube_gives_the_columns(tmp_path):
    path = TestFitsImages().sample(tmp_path)
    made, _ = only(fits_images, path, columns={"theta_zeta": "ZETA"})
    assert made.theta_zeta.values.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(made.flux.values[:, 0], STACK)


def test_readers_of_stacks_have_the_same_options_beside_their_own():
    numpy, hdf5, stacks = (
        reader.options.model_json_schema()["properties"] for reader in (numpy_images, hdf5_images, fits_images)
    )
    assert list(numpy) == [
        "images", "layout", "bands", "columns", "identity", "unit", "units", "position", "survey", "title", "citation",
    ]  # fmt: skip
    assert numpy.keys() - stacks.keys() == {"images"}
    assert stacks.keys() - numpy.keys() == {"hdu"}
    for name in numpy.keys() & stacks.keys():
        assert numpy[name] == hdf5[name] == stacks[name]
        assert numpy[name]["description"]


def test_images_are_placed_by_the_columns_that_an_option_names(tmp_path):
    fields = [fits.Column(name, "D", array=np.arange(5.0)) for name in ("ALPHA", "DELTA")]
    table = fits.BinTableHDU.from_columns(fields)
    fits.HDUList([fits.PrimaryHDU(STACK), table]).writeto(tmp_path / "m_stack.fits")
    np.savez(tmp_path / "m.npz", images=STACK, ALPHA=np.arange(5.0), DELTA=np.arange(5.0))
    for reader, name in ((fits_images, "m_stack.fits"), (numpy_images, "m.npz")):
        assert only(reader, tmp_path / name)[1].position is None
        assert only(reader, tmp_path / name, position=[])[1].position is None
        assert only(reader, tmp_path / name, position=["ALPHA", "DELTA"])[1].position == ("ALPHA", "DELTA")
        with pytest.raises(ParameterError, match="'position' has 1 columns"):
            only(reader, tmp_path / name, position=["ALPHA"])
        with pytest.raises(MissingColumnError, match="DELTAS"):
            only(reader, tmp_path / name, position=["ALPHA", "DELTAS"])


def test_cutouts_are_the_pixels_around_each_position_that_is_on_the_image(tmp_path):
    path = mosaic(tmp_path)
    made, batch = only(fits_cutouts, path, positions=str(tmp_path / "positions.csv"), size=16)
    image = np.arange(200 * 200, dtype=np.float32).reshape(200, 200)
    assert made.source_id.values.tolist() == [0, 1]
    assert np.array_equal(made.flux.values[0, 0], image[72:88, 52:68])
    assert np.array_equal(made.flux.values[1, 0], image[42:58, 112:128])
    assert made.redshift.values.tolist() == [0.0, 0.5]
    assert made.band.values.tolist() == ["r"]
    assert batch.position == ("ra", "dec")
    assert batch.identity == ("source_id",)
    partly, _ = only(fits_cutouts, path, positions=str(tmp_path / "positions.csv"), size=16, coverage=0.5)
    assert partly.source_id.values.tolist() == [0, 1, 2]
    assert np.isnan(partly.flux.values[2, 0, :, :6]).all()
    assert np.isfinite(partly.flux.values[2, 0, :, 6:]).all()


def test_positions_off_the_image_and_images_without_coordinates_are_told(tmp_path):
    path = mosaic(tmp_path, positions=((900.0, 900.0),))
    with pytest.raises(TooFewObjectsError, match="none of 1 positions"):
        only(fits_cutouts, path, positions=str(tmp_path / "positions.csv"))
    with pytest.raises(DataRefusedError, match="celestial"):
        cutouts(np.zeros((9, 9)), fits.Header(), np.zeros(1), np.zeros(1), size=3)
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ParameterError, match="right ascension"):
        only(fits_cutouts, path, positions=str(tmp_path / "no.csv"))


def test_cutouts_go_into_a_lake_and_through_features(tmp_path):
    from hven_plugins.generative import scattering_features

    path = mosaic(tmp_path, positions=[(40.0 + 20 * i, 60.0) for i in range(6)])
    lake = hven.create(tmp_path / "lake")
    options = {"positions": str(tmp_path / "positions.csv"), "size": 16}
    report = hven.ingest_files(lake, path, name="cuts", reader=fits_cutouts, options=options, progress=False)
    assert report.rows == 6
    run = hven.run(lake, scattering_features, {"images": "cuts"}, {"scales": 2}, cluster="synchronous", progress=False)
    assert run.state == "succeeded"
    told = run.result.table().collect()
    assert told.height == 6
    assert set(told["feature_flag"].to_list()) == {"ok"}


def shared(name):
    if not SHARED or not (Path(SHARED) / name).exists():
        pytest.skip(f"HVEN_SHARED_DATA names no folder with {name}")
    return Path(SHARED) / name


@pytest.mark.t1
def test_galaxy_zoo_images_go_into_a_lake(tmp_path):
    """349 colour images of 64 pixels with the volunteers' votes; fewer than 1 % have no features."""
    from hven_plugins.generative import scattering_features

    lake = hven.create(tmp_path / "lake")
    path = shared("images/galaxy_zoo_decals_rings_64px.npz")
    report = hven.ingest_files(
        lake, path, name="rings", options={"identity": ["id_str"], "images": "images"}, progress=False
    )
    assert report.rows == 349
    kept = lake["rings"].dataset().compute()
    assert kept.flux.shape == (349, 3, 64, 64)
    assert "featured_fraction" in kept
    told = scattering_features(kept.isel(object=slice(0, 40)), band="red", precision="single")
    assert (told.feature_flag == "ok").mean() > 0.95


@pytest.mark.t1
def test_a_real_field_has_the_scattering_features_of_its_pieces():
    """Planck's infrared background, cut into 16 pieces of 64 pixels: finite, and no two alike."""
    from hven.methods import scattering

    field = np.load(shared("maps/planck_cib_256.npy"))[0]
    pieces = field.reshape(4, 64, 4, 64).swapaxes(1, 2).reshape(16, 64, 64)
    told = scattering.features(scattering.coefficients(pieces))
    assert np.isfinite(told).all()
    assert len(np.unique(told[:, 1].round(8))) == 16


@pytest.mark.t1
def test_a_cluster_galaxy_of_hubble_is_read(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made, _ = only(fits_images, shared("images/abell2744_cd_galaxy_f105w.fits.gz"))
    assert made.flux.shape == (1, 1, 400, 400)


def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"hven\[hdf5\]"):
        only(hdf5_images, tmp_path / "maps.h5")
