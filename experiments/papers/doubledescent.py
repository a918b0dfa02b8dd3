"""Where is the peak of double descent in a two-layer network, and what makes it?

  python -m experiments.papers.doubledescent                     everything
  python -m experiments.papers.doubledescent --parts=noise --widths=4,8,12,20,50 --repetitions=5

1. Label noise. The first 4,000 images of MNIST, a fifth of their labels drawn anew, cross-entropy, 784-H-10: test loss
against H, after 4,000 epochs of SGD (batch 64, rate 0.05 / sqrt(1 + floor(epoch / 50)), weights of deviation 0.1).
Published: ten repetitions in the repository parameter-wise-double-descent of Gu et al., whose peak is at H = 12.
Each repetition has its own label noise, start and order. What differs: biases start at 0, where PyTorch draws them.

2. Weight reuse. Belkin, Hsu, Ma & Mandal (PNAS 2019, figure 9) trained with squared loss and started each network from
the narrower one before it, up to the width at which parameters equal examples times classes (H = 50): there their peak
was. Songwei Ge's reproduction (double-descent-pytorch) has it too, 0.104 at H = 50 and 0.030 at H = 51 as far as its
plots can be read, and none without reuse. If the switch of the start makes the peak, then it moves when the switch is
moved: so here it is at 50, at 30, and nowhere. Squared loss, 6,000 epochs, batch 128, momentum 0.95; losses are means
over the ten outputs.

A network takes half a minute to five minutes of a core of an AMD EPYC, all of them three hours. Ours, with label noise
and 5 repetitions: each of the twelve means within 3 standard errors of the published one, 2.52 +- 0.20 at the peak, H =
14, and 0.75 +- 0.03 at 200. With weight reuse, 2 chains: the loss at H = 50 is 3.4 +- 0.3 times that at 51 (published:
3.5); with the switch at 30, the loss there is 2.4 +- 0.1 times that at 31; without reuse the most around 50 is 0.84 +-
0.01 of that at 20.
"""

import dataclasses
import itertools
import statistics

from absl import flags

from experiments.papers import networks, study
from experiments.papers.results import Origin, Row
from twolayer.command import cli

PAPER = {"question": "Where is the peak of double descent, and what makes it?", "minutes": 180, "rows": 16}
FLAGS = flags.FLAGS
flags.adopt_module_key_flags(study)
PARTS = ("noise", "reuse")
flags.DEFINE_list("parts", list(PARTS), "noise, reuse or both.")
flags.DEFINE_list("widths", "4,6,8,10,12,14,16,20,30,50,100,200".split(","), "Hidden units with label noise.")
flags.DEFINE_integer("repetitions", 5, "Of each width with label noise.", lower_bound=1)
flags.DEFINE_integer("epochs", 4000, "With label noise.", lower_bound=1)
flags.DEFINE_integer("reuse_repetitions", 2, "Of each chain of widths.", lower_bound=1)
flags.DEFINE_integer("reuse_epochs", 6000, "With weight reuse, each width.", lower_bound=1)
flags.DEFINE_list("chain", "2,5,10,15,20,25,30,35,40,45,50".split(","), "Widths that each start from the one before.")
flags.DEFINE_list("fresh", "10,20,31,40,51,60,100".split(","), "Widths that start at random, with squared loss.")
flags.DEFINE_integer("examples", 4000, "Of the training set.", lower_bound=1)

# H: test cross-entropy and its deviation over ten repetitions, test accuracy.
NOISE = {
    4: (1.092, 0.058, 0.672),
    6: (1.309, 0.044, 0.661),
    8: (1.752, 0.067, 0.640),
    10: (2.319, 0.119, 0.633),
    12: (2.591, 0.198, 0.629),
    14: (2.536, 0.144, 0.645),
    16: (2.397, 0.081, 0.659),
    20: (2.244, 0.095, 0.675),
    30: (1.729, 0.065, 0.715),
    50: (1.320, 0.051, 0.752),
    100: (0.950, 0.048, 0.790),
    200: (0.749, 0.041, 0.818),
}
NOISY = (
    *("--dataset=mnist", "--output=identity", "--label_noise=0.2", "--batch_size=64", "--init=normal", "--nofigures"),
    *("--optimizer=sgd", "--learning_rate=0.05", "--schedule=inverse_sqrt", "--step_every=50", "--warmup_epochs=0"),
    *("--checkpoint_every=500", "--valid_examples=100"),  # nobody looks at the validation loss
)
AROUND = (8, 10, 12, 14, 16)  # widths without which nothing is said about the peak
NEAR = (40, 51, 60)  # widths around the number of parameters at which the published peak is
SWITCHES = {30: 1.5, 50: 3.0}  # the last width that reuses weights, and by what the loss should fall after it
# The squared loss here is half the sum over ten outputs: a mean over them has a fifth of its gradient.
SQUARED = (
    *("--dataset=mnist", "--output=identity", "--loss=quadratic", "--batch_size=128", "--init=normal", "--nofigures"),
    *("--optimizer=momentum", "--momentum=0.95", "--learning_rate=0.002", "--schedule=constant", "--warmup_epochs=0"),
    *("--checkpoint_every=500", "--valid_examples=100"),
)


Trained = dict[str, dict[int, networks.Networks]]  # by kind of start and width
Losses = dict[str, dict[int, list[float]]]


def main() -> int:
    """Flags to rows."""
    parts = study.chosen("parts", PARTS)
    widths, chain, fresh = map(study.whole_numbers, ("widths", "chain", "fresh"))
    if ("noise" in parts and not widths) or ("reuse" in parts and not (chain and fresh)):
        raise cli.BadInput("--widths, --chain and --fresh need a width each, or leave a part out with --parts")
    own = ("epochs", "reuse_epochs", "chain", "examples")
    return study.main("doubledescent", own, lambda work: _rows(work, parts, widths, chain, fresh))


def _rows(work: study.Study, parts: list[str], widths: list[int], chain: list[int], fresh: list[int]) -> list[Row]:
    noise = [_noisy(work, H) for H in widths] if "noise" in parts else []
    known = [row for row in noise if row.facts["hidden"] in NOISE]
    peak = [_peak(known)] if set(AROUND) <= {row.facts["hidden"] for row in known} else []
    rows, losses = study.judged([*noise, *peak], "epochs", "examples", least=("repetitions",)), {}
    if "reuse" in parts:
        trained = _reuse(work, chain, fresh)
        losses = _losses(trained)
        scale = ("reuse_epochs", "chain", "fresh", "examples")
        rows += study.judged(_contrasts(losses, _origin(trained)), *scale, least=("reuse_repetitions",))
    if FLAGS.figures:
        from experiments.papers import plots

        curve = [row for row in rows if "hidden" in row.facts]
        plots.double_descent(work.run.figures / "doubledescent.png", curve, losses)
    return rows


def _noisy(work: study.Study, H: int) -> Row:
    """Test cross-entropy of each repetition with label noise, at one width."""
    seeds = [(f"--seed={s}", f"--label_noise_seed={s}") for s in range(FLAGS.repetitions)]
    own = (f"--hidden={H}", f"--epochs={FLAGS.epochs}", f"--train_examples={FLAGS.examples}")
    trained = networks.train(work, f"noise-{H}", (*NOISY, *own), seeds, together=2)
    facts = {
        "hidden": H,
        "test_accuracy": statistics.fmean(summary["test_accuracy"] for summary in trained.summaries),
        "train_accuracy": statistics.fmean(summary["train_accuracy"] for summary in trained.summaries),
        **trained.facts,
    }
    values = [summary["test_loss"] for summary in trained.summaries]
    row = Row("doubledescent", f"label noise, H = {H}", None, values, "test loss", trained.origin, facts)
    return _beside_published(row, *NOISE[H]) if H in NOISE else row.scaled({"widths": [str(H)]})


def _beside_published(row: Row, mean: float, deviation: float, accuracy: float) -> Row:
    """Judged by the standard error of the difference of the two means, where there are several repetitions."""
    beside = {"published_sd": deviation, "published_n": 10, "published_test_accuracy": accuracy}
    judged: dict = {}
    if len(row.values) > 1:
        error = (statistics.variance(row.values) / len(row.values) + deviation**2 / 10) ** 0.5
        apart = beside["standard_errors_apart"] = (statistics.fmean(row.values) - mean) / error
        judged = {"bar": "within 3 standard errors", "met": abs(apart) <= 3}
    return dataclasses.replace(row, published=mean, beside=beside, **judged)


def _peak(noise: list[Row]) -> Row:
    """At which width the mean test loss is largest."""
    highest = max(noise, key=lambda row: statistics.fmean(row.values))
    peak, bar, of_all = highest.facts["hidden"], "10, 12 or 14", Origin.total(row.origin for row in noise).counted()
    met = peak in (10, 12, 14)
    return Row("doubledescent", "label noise, peak", 12, [peak], "hidden units", of_all, bar=bar, met=met)


def _reuse(work: study.Study, chain: list[int], fresh: list[int]) -> Trained:
    """The repetitions by kind and width: "reuse" starts from the width before, "fresh" at random."""
    common = (*SQUARED, f"--epochs={FLAGS.reuse_epochs}", f"--train_examples={FLAGS.examples}")

    def train(kind: str, H: int, own: list[tuple[str, ...]]) -> networks.Networks:
        return networks.train(work, f"{kind}-{H}", (*common, f"--hidden={H}"), own, together=2)

    found: Trained = {"reuse": {}, "fresh": {}}
    seeds = networks.seeds(FLAGS.reuse_repetitions)
    own = seeds
    for H in chain:
        found["reuse"][H] = narrower = train("reuse", H, own)
        own = [(*seed, f"--start_from={folder}") for seed, folder in zip(seeds, narrower.folders, strict=True)]
    for H in fresh:
        found["fresh"][H] = train("fresh", H, seeds)
    return found


def _losses(trained: Trained) -> Losses:
    """Mean squared test loss over the ten outputs: ours is half their sum."""
    return {
        kind: {H: [2 / 10 * summary["test_loss"] for summary in some.summaries] for H, some in widths.items()}
        for kind, widths in trained.items()
    }


def _origin(trained: Trained) -> Origin:
    return Origin.total(some.origin for widths in trained.values() for some in widths.values())


def _contrasts(losses: Losses, of_all: Origin) -> list[Row]:
    """What the switch does: where weights are reused up to it, and where they never are."""
    rows = [row for switch in SWITCHES if (row := _switch(losses, switch))]
    if {20, *NEAR} <= set(losses["fresh"]):
        rows.append(_no_reuse(losses))
    # They share their networks: the first has the seconds.
    shares = itertools.chain([of_all], itertools.repeat(of_all.counted()))
    return [dataclasses.replace(row, origin=share) for row, share in zip(rows, shares, strict=False)]


def _switch(losses: Losses, switch: int) -> Row | None:
    """How much the loss falls from the last width that reuses weights to the next, and whether it was largest there."""
    reuse, fresh = losses["reuse"], losses["fresh"]
    if switch not in reuse or switch + 1 not in fresh:
        return None
    ratios = [a / b for a, b in zip(reuse[switch], fresh[switch + 1], strict=True)]
    curve = {H: loss for H, loss in reuse.items() if H <= switch} | {H: loss for H, loss in fresh.items() if H > switch}
    peaks = [max(curve, key=lambda H, chain=chain: curve[H][chain]) for chain in range(len(ratios))]
    published, least = (3.5 if switch == 50 else None), SWITCHES[switch]
    facts = {"reuse": reuse[switch], "fresh": fresh[switch + 1], "peaks": peaks}
    name = f"weight reuse up to {switch}: H = {switch} over H = {switch + 1}"
    bar, met = f"at least {least:g} and the peak, each time", min(ratios) >= least and set(peaks) == {switch}
    return Row("doubledescent", name, published, ratios, "ratio of test losses", Origin(), facts, bar=bar, met=met)


def _no_reuse(losses: Losses) -> Row:
    """Without reuse there is no peak where parameters equal examples times classes."""
    fresh = losses["fresh"]
    rise = [max(fresh[H][chain] for H in NEAR) / loss for chain, loss in enumerate(fresh[20])]
    name, bar = f"no reuse: the most of H = {NEAR[0]} to {NEAR[-1]} over H = 20", "at most 1.1 each time"
    met = max(rise) <= 1.1
    return Row("doubledescent", name, None, rise, "ratio of test losses", facts={"losses": losses}, bar=bar, met=met)


if __name__ == "__main__":
    cli.run(main)
