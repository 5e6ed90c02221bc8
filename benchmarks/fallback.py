"""How long it takes to decide who stands in for a model, among many: gates, scores, reasons and all."""

from pathlib import Path
from random import Random

from availability.fallback.candidates import Candidate, Readiness, Wanted
from availability.fallback.decide import Situation, decide
from availability.fallback.decision import FallbackKind
from availability.fallback.facts import GIGABYTE, ModelFacts
from availability.fallback.recovery import RECOVERIES, FailureKind
from availability.fallback.requirements import Requirements
from availability.fallback.strategies import FallbackContext, strategies_for
from availability.model import ModelId
from availability.settings import load_settings
from benchmarks.ground import Ground
from benchmarks.harness import OURS, Contestant, Goal, Row, Sample, Trial, clock

PLACE = 28

_CANDIDATES = 1000
_CAPABILITIES = ("chat", "tools", "vision", "language:en", "language:de", "language:fr")
_WANTED_FACTS = ModelFacts(
    "text-generation",
    "text",
    "apache-2.0",
    frozenset({"safetensors"}),
    16 * GIGABYTE,
    20 * GIGABYTE,
    32_768,
    8e9,
    frozenset(_CAPABILITIES[:4]),
)


def _prepare(ground: Ground) -> Trial:
    count = ground.scale.count(_CANDIDATES)
    random = Random(0)
    candidates = [_candidate(random, number) for number in range(count)]
    declared = {str(candidate.model): random.random() for candidate in candidates if random.random() < 0.5}
    requirements = Requirements(max_vram_gb=24, min_context_length=4096, capabilities=("chat", "tools"))
    wanted = Wanted(ModelId("bench/wanted"), _WANTED_FACTS, requirements, declared)
    settings = load_settings({}, env={}, dotenv=None)
    strategies = strategies_for(FallbackContext(settings, wanted)).items
    situation = Situation("It is gone.", "auto", recovery=RECOVERIES[FailureKind.GATED])

    def run(_: Path) -> Sample:
        made = []
        sample = clock(
            lambda: made.append(
                decide(wanted, situation, candidates, settings.fallback, strategies, blocked=("spam/*", "*/evil-*"))
            )
        )
        if made[0].kind is not FallbackKind.ALTERNATIVE_MODEL:
            raise RuntimeError(f"no alternative among {count} models: {made[0].chosen.reason}")
        return sample

    excluded = len(decide(wanted, situation, candidates, settings.fallback, strategies).excluded)
    remark = f"facts drawn at random, a twentieth of them unknown; {excluded:,} are excluded, each with its reason"
    return Trial((Contestant(OURS, run),), lambda: None, remark)


def _candidate(random: Random, number: int) -> Candidate:
    def known(value: object) -> object:
        return None if random.random() < 0.05 else value

    facts = ModelFacts(
        task=known(random.choice(("text-generation", "text-generation", "text-generation", "text-to-image"))),
        modality=known("text"),
        licence=known(random.choice(("apache-2.0", "apache-2.0", "mit", "club-1.0"))),
        formats=known(frozenset(random.choices(("safetensors", "gguf"), k=2))),
        size_bytes=known(random.randint(1, 40) * GIGABYTE),
        vram_bytes=known(random.randint(1, 30) * GIGABYTE),
        context_length=known(random.choice((2048, 8192, 32_768))),
        parameters=known(random.uniform(1e9, 2e10)),
        capabilities=known(frozenset(random.choices(_CAPABILITIES, k=4))),
    )
    return Candidate(
        ModelId(f"bench/model-{number:04}"), facts, random.choice((Readiness.READY, Readiness.READY, Readiness.ABSENT))
    )


ROWS = (
    Row(
        name="fallback-decision",
        title=lambda ground: f"deciding who stands in, among {ground.scale.count(_CANDIDATES):,} models",
        prepare=_prepare,
        goals=(Goal(0.02),),
        needs_bytes=lambda _ground, _rounds: 0,
    ),
)
