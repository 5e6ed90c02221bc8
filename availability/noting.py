"""What a reading told, noted wherever it matters: in the record of every commit and model that has the same content.

A proof and a defect are both tied to the signature under which they were seen, so noting a judgement that somebody has
overtaken meanwhile does no harm. No lease is needed for it: `Records.update` changes one record at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from availability.findings import Finding
from availability.model import Commit, FileRecord, ModelId
from availability.record import Defect, Proof, Signature, SnapshotRecord
from availability.structure import Structure
from availability.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of some content.

    Attributes:
        file: whose.
        signature: what it looked like.
        at: when its reading began, seconds since the epoch.
        finding: what is wrong, None when it is intact.
        of_path_only: it concerns this path and not the content that bears the digest.
    """

    file: FileRecord
    signature: Signature
    at: float
    finding: Finding | None = None
    of_path_only: bool = False


def note(workspace: Workspace, structure: Structure, judgements: Sequence[Judgement]) -> None:
    """Note judgements in every record that they concern."""
    if not judgements:
        return
    is_shared = any(workspace.store.blob(structure.model, judgement.file).is_symlink() for judgement in judgements)
    for model, commit in _commits(workspace, structure, everywhere=is_shared):
        own = (model.repo_id, commit) == (structure.model.repo_id, structure.commit)
        concerned = [judgement for judgement in judgements if own or not judgement.of_path_only]
        workspace.records.update(model, commit, partial(_noted, workspace, model, concerned))


def _commits(workspace: Workspace, structure: Structure, *, everywhere: bool) -> Iterator[tuple[ModelId, Commit]]:
    root = workspace.records.root
    for folder in root.glob("models--*") if everywhere else [root / structure.model.folder]:
        model = ModelId(folder.name.removeprefix("models--").replace("--", "/"))
        for path in folder.glob("*.json"):
            yield model, Commit(path.stem)


def _noted(
    workspace: Workspace, model: ModelId, judgements: Iterable[Judgement], known: SnapshotRecord | None
) -> SnapshotRecord | None:
    if known is None:
        return None
    by_path = {judgement.file.path: judgement for judgement in judgements if judgement.of_path_only}
    by_digest = {judgement.file.digest: judgement for judgement in judgements if not judgement.of_path_only}
    proofs, defects = dict(known.proofs), dict(known.defects)
    snapshot = workspace.store.snapshot(model, known.listing.commit)
    for file in known.wanted_files():
        judgement = by_path.get(file.path) or by_digest.get(file.digest)
        if judgement is None or workspace.store.signature(snapshot / file.path) != judgement.signature:
            continue
        if judgement.finding is None:
            proofs[file.path] = Proof(judgement.signature, judgement.at)
            defects.pop(file.path, None)
        else:
            finding = judgement.finding
            defects[file.path] = Defect(
                judgement.signature, finding.kind.value, finding.ranges, judgement.at, finding.cause
            )
            proofs.pop(file.path, None)
    return replace(known, proofs=proofs, defects=defects)
