import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hven.errors import DataRefusedError, ParameterError
from hven.methods import gan, models, nets, train

OPTIONS = {"steps": 6, "check_every": 3, "batch": 8, "names": {"theta": ["a"]}}


def pair():
    options = {"n_theta": 1, "base": 4, "periodic": True}
    return nets.StyleGenerator(1, 4, n_latent=4, **options), nets.ImageCritic(1, 4, **options)


class Line(eqx.Module):
    """A generator of one matrix."""

    weight: object
    n_latent: int = eqx.field(static=True, default=4)

    def __call__(self, z, theta, key):
        return (self.weight @ z).reshape(1, 4, 4)


class Bowl(eqx.Module):
    """A critic of one matrix, whose slope depends on what it sees."""

    weight: object

    def __call__(self, x, theta):
        flat = x.reshape(len(x), -1)
        return jnp.sum(jnp.tanh(flat @ self.weight) * flat, axis=1)


@pytest.fixture(scope="module")
def small():
    """Return a model of 4 x 4 images with one parameter, hardly trained, its data and its checkpoints."""
    rng = np.random.default_rng(0)
    theta, seen = rng.uniform(2, 4, (64, 1)), []
    x = theta[:, :, None, None] * rng.normal(size=(64, 1, 4, 4))
    return gan.fit(*pair(), x, theta, on_check=seen.append, **OPTIONS), x, theta, seen


@pytest.mark.t0
def test_each_player_is_moved_by_its_own_loss_alone():
    """Gradients of the joint loss are those of the textbook's two losses; target 1e-5 of the largest."""
    rng = np.random.default_rng(1)
    players = Line(rng.normal(size=(16, 4))), Bowl(rng.normal(size=(16, 16)))
    rows = {"x": jnp.asarray(rng.normal(size=(4, 1, 4, 4)), jnp.float32), "theta": jnp.ones((4, 1))}
    key, r1 = jax.random.key(3), 0.7

    def parts(players):
        generator, critic = players
        z_key, noise_key = jax.random.split(key)
        z = jax.random.normal(z_key, (4, 4), jnp.float32)
        fake = jax.vmap(generator)(z, rows["theta"], jax.random.split(noise_key, 4))
        slope = jax.grad(lambda x: critic(x, rows["theta"]).sum())(rows["x"])
        real, false = critic(rows["x"], rows["theta"]), critic(fake, rows["theta"])
        of_critic = jax.nn.softplus(-real) + jax.nn.softplus(false) + r1 / 2 * jnp.sum(slope**2, axis=(1, 2, 3))
        return jnp.stack([jnp.sum(jax.nn.softplus(-false)), jnp.sum(of_critic)])

    grad = lambda f: eqx.filter_jit(eqx.filter_grad(f))(players)  # noqa: E731
    joint = grad(lambda p: jnp.sum(gan.AdversarialLoss(r1)(p, rows, key)))
    wanted = grad(lambda p: parts(p)[0])[0], grad(lambda p: parts(p)[1])[1]
    for found, textbook in zip(joint, wanted, strict=True):
        largest = float(np.abs(textbook.weight).max())
        assert largest > 1e-3
        assert np.asarray(found.weight) == pytest.approx(np.asarray(textbook.weight), abs=1e-5 * largest)


@pytest.mark.t0
def test_a_sample_of_a_gan_follows_from_its_seed_and_id_however_samples_are_cut(small):
    model, *_ = small
    theta, ids = np.linspace(2, 4, 11)[:, None], np.arange(11) * 10**12
    whole = model.sample(theta, ids=ids, batch=4)
    assert whole.shape == (11, 1, 4, 4)
    order = np.random.default_rng(1).permutation(11)
    assert np.array_equal(model.sample(theta[order], ids=ids[order], batch=4), whole[order])
    assert np.array_equal(model.sample(theta[5:6], ids=ids[5:6], batch=4)[0], whole[5])
    assert not np.array_equal(model.sample(theta, ids=ids, batch=4, seed=1), whole)


@pytest.mark.t0
def test_a_saved_gan_samples_the_same_bits_and_keeps_all_three_weights_apart(small):
    model, _, theta, _ = small
    back = models.from_dataset(models.to_dataset(model))
    for weights in ("ema", "last"):
        one, other = (m.sample(theta[:3], weights=weights, batch=4) for m in (model, back))
        assert np.array_equal(one, other)
    assert not np.array_equal(model.sample(theta[:3], batch=4), model.sample(theta[:3], batch=4, weights="last"))
    assert np.array_equal(models.to_vector(back.critic), models.to_vector(model.critic))
    assert (back.names, back.settings) == (model.names, model.settings)
    generator, critic = pair()
    for net in (generator, critic):
        assert np.array_equal(models.to_vector(models.load(*models.save(net))), models.to_vector(net))


@pytest.mark.t0
def test_training_of_a_gan_that_goes_on_from_a_checkpoint_ends_in_the_same_bits(small):
    model, x, theta, seen = small
    resumed = gan.fit(*pair(), x, theta, resume=train.Checkpoint.from_bytes(seen[0].to_bytes()), **OPTIONS)
    for name, values in model.arrays().items():
        assert np.array_equal(values, resumed.arrays()[name]), name


def test_nothing_is_drawn_from_a_gan_that_diverged(small):
    model, _, theta, _ = small
    with pytest.raises(DataRefusedError, match=r"diverged .*lower learning_rate"):
        dataclasses.replace(model, diverged=True).sample(theta[:3])


@pytest.mark.t0
def test_a_critic_sees_that_all_images_of_a_batch_are_alike():
    _, critic = pair()
    rng = np.random.default_rng(2)
    x = jnp.asarray(rng.normal(size=(4, 1, 4, 4)), jnp.float32)
    score = eqx.filter_jit(critic)
    varied, alike = score(x, jnp.zeros((4, 1))), score(jnp.broadcast_to(x[:1], x.shape), jnp.zeros((4, 1)))
    assert abs(varied[0] - alike[0]) > 1e-4
    assert np.ptp(np.asarray(alike)) < 1e-5


def test_what_does_not_fit_a_gan_is_refused_by_name(small):
    model, x, theta, _ = small
    with pytest.raises(DataRefusedError, match=r"data of shape \(1, 2, 4\)"):
        gan.fit(*pair(), x[:, :, :2], theta, steps=1)
    with pytest.raises(DataRefusedError, match="values of x are not finite"):
        gan.fit(*pair(), np.where(x == x.max(), np.nan, x), theta, steps=1)
    with pytest.raises(DataRefusedError, match="theta has shape"):
        model.sample(np.zeros((3, 2)))
    with pytest.raises(DataRefusedError, match="theta has shape"):
        model.sample(n=3)
    with pytest.raises(ParameterError, match="n is None"):
        model.sample()
