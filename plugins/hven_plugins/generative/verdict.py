"""From numbers to words: what is flagged of a generator, by which limit, and what that says together."""

from dataclasses import dataclass

DISTANCE = "distance of the scattering features"
COLLAPSE = "collapse: coverage"
VARIETY = "variety: "
RATIO = f"{VARIETY}smallest ratio of variances"
COVERAGE = f"{VARIETY}coverage"
TWINS = f"{VARIETY}share of images with a twin"
PRECISION = "fidelity: precision"
CLASSIFIER = "a classifier tells the sets apart: AUC"
POWER = "power spectra differ: rms in standard errors"
UNUSABLE = "share of images without features"


@dataclass(frozen=True)
class Limits:
    """Beyond what an evaluation is flagged, as follows from the numbers of images.

    Attributes
    ----------
    distance
        What two sets of one distribution stay below.
    smallest_ratio
        0.2 of what is usual for them, or less where few images may fall short of that by chance.
    coverage, half_coverage, precision
        Likewise, 0.8, half and 0.8 of the usual.
    twins
        0.05, or more where few images may exceed that by chance.
    """

    distance: float
    smallest_ratio: float
    coverage: float
    half_coverage: float
    precision: float
    twins: float


@dataclass(frozen=True)
class Evidence:
    """What an evaluation measured; pairs are (another part of the reference, the generated)."""

    fsd: float
    fsd_floor: float
    auc: float
    auc_err: float
    power_sigmas: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    density: tuple[float, ...]
    coverage: tuple[float, ...]
    duplicates: tuple[float, ...]
    smallest_ratio: float
    unusable: float
    limits: Limits


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: in words, its value, and the limit beyond which it is flagged."""

    text: str
    value: float
    limit: float
    is_flagged: bool


@dataclass(frozen=True)
class Verdict:
    """What an evaluation says, in a sentence or two, and what it rests on."""

    text: str
    findings: tuple[Finding, ...]


def verdict(told: Evidence) -> Verdict:
    """Return the verdict on a generator.

    Besides `Limits`: four standard errors for the classifier, three for the spectrum, one image of a hundred without
    features. "Collapsed" and "variety is lost" need evidence of their own: twins, or a direction along which hardly any
    variance is left. Low coverage alone is as well that of images that lie elsewhere (another contrast, a tilt).

    Examples
    --------
    >>> limits = Limits(.002, .2, .7, .4, .7, .05)
    >>> pairs = (.9, .9), (.9, .9), (1, 1), (.9, .9), (.01, .01)
    >>> verdict(Evidence(.001, .001, .5, .01, 1, *pairs, .8, 0, limits)).text
    'No difference from the reference is found.'
    >>> verdict(Evidence(.01, .001, .5, .01, 1, *pairs, .8, 0, limits)).text
    'The distributions differ (FSD 0.01, floor 0.001).'
    >>> thin = *pairs[:3], (.9, .3), pairs[4]
    >>> verdict(Evidence(.01, .001, .5, .01, 1, *thin, .8, 0, limits)).text  # no twin, no direction lost: no collapse
    'The distributions differ; a power spectrum would not show it (FSD 0.01, floor 0.001).'
    >>> verdict(Evidence(.001, .001, .5, .01, 1, *pairs, .8, .03, limits)).text
    '3.0% of the generated images have no features; no other difference from the reference is found.'
    """
    limits, chance = told.limits, 0.5 + 4 * told.auc_err
    is_apart = told.fsd > limits.distance
    has_twins, is_foreign = told.duplicates[1] > limits.twins, told.precision[1] < limits.precision
    is_narrow = told.smallest_ratio < limits.smallest_ratio
    is_thin = told.coverage[1] < limits.half_coverage
    is_collapsed = is_apart and is_thin and (has_twins or (is_narrow and not is_foreign))
    findings = (
        Finding(DISTANCE, told.fsd, limits.distance, is_apart),
        Finding(COLLAPSE, told.coverage[1], limits.half_coverage, is_collapsed),
        Finding(RATIO, told.smallest_ratio, limits.smallest_ratio, is_narrow),
        Finding(COVERAGE, told.coverage[1], limits.coverage, told.coverage[1] < limits.coverage),
        Finding(TWINS, told.duplicates[1], limits.twins, has_twins),
        Finding(PRECISION, told.precision[1], limits.precision, is_foreign),
        Finding(CLASSIFIER, told.auc, chance, told.auc > chance),
        Finding(POWER, told.power_sigmas, 3.0, told.power_sigmas > 3.0),
        Finding(UNUSABLE, told.unusable, 0.01, told.unusable > 0.01),
    )
    return Verdict(_sentence(told, {f.text for f in findings if f.is_flagged}), findings)


def _sentence(told: Evidence, flagged: set[str]) -> str:
    unusable = f"{told.unusable:.1%} of the generated images have no features"
    if not flagged - {UNUSABLE}:
        nothing = "no {}difference from the reference is found."
        return f"{unusable}; {nothing.format('other ')}" if flagged else nothing.format("").capitalize()
    says = _says(told, flagged)
    if POWER not in flagged and len(flagged - {UNUSABLE}) > 1:
        says.append("a power spectrum would not show it")
    if UNUSABLE in flagged:
        says.append(unusable)
    text = "; ".join(says)
    return f"{text[0].upper()}{text[1:]} (FSD {told.fsd:.2g}, floor {told.fsd_floor:.2g})."


def _says(told: Evidence, flagged: set[str]) -> list[str]:
    """Return what is wrong with the distribution, what is worst first."""
    says = []
    if COLLAPSE in flagged:
        says.append("the generator has collapsed: few kinds of images stand for all")
    elif flagged & {RATIO, TWINS} and (PRECISION not in flagged or _is_narrower_than_foreign(told)):
        says.append("variety is lost")
    if PRECISION in flagged:
        says.append("images are made that the reference does not have")
    if says:
        return says
    if flagged & {DISTANCE, COVERAGE}:
        return ["the distributions differ"]
    return ["a classifier tells the sets apart" if CLASSIFIER in flagged else "the power spectra differ"]


def _is_narrower_than_foreign(told: Evidence) -> bool:
    """Return whether more of the coverage is lost than goes with images that lie elsewhere."""
    return told.coverage[1] * told.precision[0] < told.precision[1] * told.coverage[0]
