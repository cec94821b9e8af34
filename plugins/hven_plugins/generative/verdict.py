"""From numbers to words: what is flagged of a generator, by which limit, and what that says together."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Evidence:
    """What an evaluation measured; pairs are (another part of the reference, the generated)."""

    fsd: float
    fsd_limit: float
    fsd_floor: float
    fsd_floor_err: float
    covariance_share: float
    auc: float
    auc_err: float
    power_difference: float
    power_sigmas: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    density: tuple[float, ...]
    coverage: tuple[float, ...]
    duplicates: tuple[float, ...]
    smallest_ratio: float
    unusable: float


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

    Limits: five times the scatter of the floor for the distance; for collapse a coverage of less than half the usual
    one, with 0.6 of the distance in the covariances or a ratio of variances below 0.01; a fifth for the smallest ratio
    of variances; 0.8 of the usual for precision and coverage; 0.05 for duplicates; four standard errors for the
    classifier, three for the spectrum.

    Examples
    --------
    >>> fine = Evidence(.001, 0, .001, .0002, .5, .5, .01, .01, 1, (.9, .9), (.9, .9), (1, 1), (.9, .9), (0, 0), .8, 0)
    >>> verdict(fine).text
    'No difference from the reference is found.'
    """
    usual = told.coverage[0]
    limit = told.fsd_floor + 5 * told.fsd_floor_err
    is_apart = told.fsd > limit
    is_narrow = told.covariance_share > 0.6 or told.smallest_ratio < 0.01
    is_collapsed = is_apart and is_narrow and told.coverage[1] < 0.5 * usual
    faithful, chance = 0.8 * told.precision[0], 0.5 + 4 * told.auc_err
    findings = (
        Finding("distance of the scattering features", told.fsd, limit, is_apart),
        Finding("collapse: share of the covariances in the distance", told.covariance_share, 0.6, is_collapsed),
        Finding("variety: smallest ratio of variances", told.smallest_ratio, 0.2, told.smallest_ratio < 0.2),
        Finding("variety: coverage", told.coverage[1], 0.8 * usual, told.coverage[1] < 0.8 * usual),
        Finding("variety: share of images with a twin", told.duplicates[1], 0.05, told.duplicates[1] > 0.05),
        Finding("fidelity: precision", told.precision[1], faithful, told.precision[1] < faithful),
        Finding("a classifier tells the sets apart: AUC", told.auc, chance, told.auc > chance),
        Finding("power spectra differ: rms in standard errors", told.power_sigmas, 3.0, told.power_sigmas > 3.0),
        Finding("share of images without features", told.unusable, 0.01, told.unusable > 0.01),
    )
    return Verdict(_sentence(told, findings, is_collapsed=is_collapsed), findings)


def _sentence(told: Evidence, findings: tuple[Finding, ...], *, is_collapsed: bool) -> str:
    flagged = {f.text for f in findings if f.is_flagged}
    if not flagged:
        return "No difference from the reference is found."
    says = []
    is_foreign = any(text.startswith("fidelity") for text in flagged)
    if is_collapsed:
        says.append("the generator has collapsed: few kinds of images stand for all")
    elif any(text.startswith("variety") for text in flagged) and not is_foreign:
        says.append("variety is lost")
    if is_foreign:
        says.append("images are made that the reference does not have")
    if not says:
        says.append("the distributions differ")
    if "power spectra differ: rms in standard errors" not in flagged and len(flagged) > 1:
        says.append("a power spectrum would not show it")
    first = says[0][0].upper() + says[0][1:]
    distance = told.fsd_limit if np.isfinite(told.fsd_limit) else told.fsd
    return f"{'; '.join([first, *says[1:]])} (FSD {distance:.2g}, floor {told.fsd_floor:.2g})."
