"""What a disk may hold after the power went: every step of a run in order, and any state that it allows at a cut.

What was synced is there. Of everything since, any subset may be, sector by sector, in any order. Names of files made or
deleted are durable once their folder is synced. After a failed sync the steps before it stay in doubt for good, though
later syncs succeed, which is how Linux treats pages that it could not write.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

SECTOR_BYTES = 512

Kind = Literal[
    "create", "delete", "sync folder", "write", "truncate", "sync", "failed sync", "acknowledged", "advanced"
]
Survivors = Mapping[int, frozenset[int]]
"""Which sectors survive of which open step, by the step's place; a step without sectors survives by any number."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to a file, or said to a caller. `offset` is also a size, or an instant advanced to."""

    kind: Kind
    name: str = ""
    inode: int = 0
    offset: int = 0
    data: bytes = b""

    def sectors(self) -> frozenset[int]:
        """The numbers of the sectors that a write touches."""
        first, last = self.offset // SECTOR_BYTES, (self.offset + len(self.data) - 1) // SECTOR_BYTES
        return frozenset(range(first, last + 1)) if self.data else frozenset({0})


@dataclass
class RecordedDisk:
    """Records steps; the files themselves are kept by the real file system, which stands for the page cache."""

    steps: list[Step] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    paused: bool = False
    _unsynced_names: set[int] = field(default_factory=set)

    def record(self, kind: Kind, name: str = "", inode: int = 0, offset: int = 0, data: bytes = b"") -> None:
        if not self.paused:
            self.steps.append(Step(kind, name, inode, offset, data))

    def open(self, name: str, *, exists: bool, syncs_folder: bool) -> int:
        """The file's inode; a new one where the file is made. A journal's first sync syncs its folder too."""
        if exists:
            return self.names[name]
        inode = self.names[name] = 1 + sum(step.kind == "create" for step in self.steps)
        self.record("create", name, inode)
        if syncs_folder:
            self._unsynced_names.add(inode)
        return inode

    def sync(self, inode: int) -> None:
        self.record("sync", inode=inode)
        if inode in self._unsynced_names:
            self._unsynced_names.discard(inode)
            self.record("sync folder")

    def open_steps(self, cut: int) -> list[int]:
        """The places of the steps before the cut that a loss of power may undo."""
        open_places: list[int] = []
        doubtful: set[int] = set()
        for place, step in enumerate(self.steps[:cut]):
            if step.kind in {"write", "truncate", "create", "delete"}:
                open_places.append(place)
            elif step.kind == "failed sync":
                doubtful |= {i for i in open_places if self._content_of(i, step.inode)}
            elif step.kind == "sync":
                open_places = [i for i in open_places if i in doubtful or not self._content_of(i, step.inode)]
            elif step.kind == "sync folder":
                open_places = [i for i in open_places if self.steps[i].kind not in {"create", "delete"}]
        return open_places

    def survivors(self, cut: int, seeds: int) -> Iterator[Survivors]:
        """What may survive: nothing, everything, everything up to a torn step, only later steps, at random."""
        places = self.open_steps(cut)
        whole = {place: self.steps[place].sectors() for place in places}
        yield {}
        yield whole
        chance = random.Random(cut)
        for count, torn in enumerate(places):
            sectors = sorted(whole[torn])
            if len(sectors) > 1:
                prefix = frozenset(sectors[: chance.randrange(1, len(sectors))])
                yield {place: whole[place] for place in places[:count]} | {torn: prefix}
        for count in {1, len(places) // 2, len(places) - 1}:
            yield {place: whole[place] for place in places[count:]}
        for _ in range(seeds):
            yield {
                place: frozenset(sector for sector in sorted(whole[place]) if chance.random() < 0.5)
                for place in places
            }

    def image(self, cut: int, survivors: Survivors) -> dict[str, bytes]:
        """The files' contents by name after the power went at the cut."""
        open_places = set(self.open_steps(cut))
        names: dict[str, int] = {}
        contents: dict[int, bytearray] = {}
        for place, step in enumerate(self.steps[:cut]):
            sectors = survivors.get(place, frozenset()) if place in open_places else step.sectors()
            if not sectors:
                continue
            content = contents.setdefault(step.inode, bytearray())
            if step.kind == "create":
                names[step.name] = step.inode
            elif step.kind == "delete":
                names.pop(step.name, None)
            elif step.kind == "truncate":
                content[:] = content[: step.offset].ljust(step.offset, b"\0")
            elif step.kind == "write":
                _write(content, step, sectors)
        return {name: bytes(contents.get(inode, b"")) for name, inode in names.items()}

    def _content_of(self, place: int, inode: int) -> bool:
        return self.steps[place].inode == inode and self.steps[place].kind in {"write", "truncate"}


def _write(content: bytearray, step: Step, sectors: frozenset[int]) -> None:
    end = step.offset + len(step.data)
    if len(content) < step.offset:
        content.extend(bytes(step.offset - len(content)))
    if len(sectors) == len(step.sectors()):
        content[step.offset : end] = step.data
        return
    for sector in sectors:
        start = max(step.offset, sector * SECTOR_BYTES)
        stop = min(end, (sector + 1) * SECTOR_BYTES)
        if len(content) < stop:
            content.extend(bytes(stop - len(content)))
        content[start:stop] = step.data[start - step.offset : stop - step.offset]
