"""`python -m benchmarks.fleet`: a catalog of a thousand models through Prefect, on one server with SQLite.

It is no row of the table, because it takes some ten minutes and has no contestant. It prints for each run: time,
requests to the server and growth of its database a model, and memory. The models are small on purpose.
"""

from collections.abc import Callable
from pathlib import Path
from time import sleep

import click

from benchmarks.flow_probe import Figures
from benchmarks.ground import Ground, Scale
from benchmarks.orchestration import probe

_REST_SECONDS = 5.0


@click.command(help="Ensure, check and report a catalog of many small models through Prefect, and plan a larger one.")
@click.option("--models", default=1000, show_default=True, help="How many are ensured, checked and reported.")
@click.option("--planned", default=10_000, show_default=True, help="How many are planned in one run; 0 plans none.")
@click.option("--work", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where to make the folder.")
def main(models: int, planned: int, work: Path | None) -> None:
    """Run them all."""
    with Ground(work, Scale()) as ground:
        names = [f"bench/many-{number:05}" for number in range(max(models, planned))]
        for name in names:
            ground.model(name, {"config.json": f'{{"of": "{name}"}}\n'.encode(), "model.safetensors": 4096})
        folder = ground.fresh("fleet")

        def run(title: str, flow: str, count: int, **parameters: object) -> None:
            catalog = folder / f"catalog-{count}.yaml"
            listed = "".join(f"  - id: {name}\n" for name in names[:count])
            catalog.write_text(f"version: 1\nmodels:\n{listed}")
            ground.server()
            before = _database_bytes(ground)
            figures = probe(ground, folder, flow, parameters, CATALOG=catalog)
            _tell(f"{title} {count:,} models", count, figures, _database_bytes(ground) - before, click.echo)

        run("ensure", "ensure_models", models, models=[])
        run("ensure again", "ensure_models", models, models=[])
        run("check", "check_health", models, mode="full")
        run("report", "report_health", models, refresh=True)
        if planned:
            run("plan", "ensure_models", planned, dry_run=True)


def _tell(title: str, count: int, figures: Figures, grown_bytes: int, say: Callable[[str], None]) -> None:
    each = f"{figures.seconds / count * 1000:.0f} ms, {figures.calls / count:.2f} requests"
    say(
        f"{title}: {figures.seconds:.1f} s, {figures.calls} requests, database + {grown_bytes / 1e6:.1f} MB, "
        f"{figures.peak_mib:.0f} MiB of memory; each {each}, {grown_bytes / count / 1000:.1f} kB. {figures.ended}"
    )


def _database_bytes(ground: Ground) -> int:
    """Return the size of the database, its log of writes included, once the server has taken in what it was told."""
    while True:
        seen = sum(path.stat().st_size for path in (ground.work / "prefect").rglob("prefect.db*"))
        sleep(_REST_SECONDS)
        if seen == sum(path.stat().st_size for path in (ground.work / "prefect").rglob("prefect.db*")):
            return seen


if __name__ == "__main__":
    main()
