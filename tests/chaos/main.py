"""Rounds of changes and faults, checkpoints in between, and the report. One line a round."""

import argparse
import collections
import random
import sys
import time
import traceback

from . import checks, source_faults, target_faults  # noqa: F401 - the faults register themselves
from .changes import TABLES
from .faults import FAULTS
from .truth import Control, check_failures, check_status, failures_since, recover
from .world import World


class Round:
    """One fault, or two at once, at a random moment of a running stream; then everything must be as it was."""

    def __init__(self, world, faults, stream, before=()):
        self.world, self.faults, self.stream = world, faults, stream
        self.before = list(before)  # faults of the round before: a connection that was cut while idle is found when it is used next
        self.failures = []

    def play(self):
        world = self.world
        control = Control(world)
        last_run = world.db.value("SELECT coalesce(max(id), 0) FROM insync.run")
        since = world.clock()
        words = []
        for fault in self.faults:
            words.append(fault.make(world, self.stream))
            world.answers()
        check_status(world)
        if all(fault.sessions for fault in self.faults):
            control.check_alive()
        recover(world)
        check_status(world)
        control.check_log()
        control.close()
        self.failures = failures_since(world, last_run, since)
        check_failures(world, self.failures, self.faults + self.before)
        world.check_writers()
        return "; ".join(words)


def message_class(status, sqlstate, message):
    """What a run's failure is counted as in the report: its SQLSTATE, and its message up to what the driver added."""
    words = message.splitlines()[0].split(": ")
    return f"{status} {sqlstate or '–'} \"{': '.join(words[:2]) if words[0] in GENERAL else words[0]}\""


GENERAL = ("connector exited unexpectedly", "cancelled")


class Chaos:
    def __init__(self, seed, rounds, kinds=None, rows=1500, only=None):
        self.seed, self.rounds, self.only = seed, rounds, only
        self.world = World(seed, *([kinds] if kinds else []), rows=rows)
        self.chance = random.Random(f"{seed} rounds")
        self.bag = []
        self.times = collections.Counter()
        self.outcomes = collections.defaultdict(collections.Counter)

    def bag_first(self, name):
        """Has this fault come first."""
        self.bag = [fault for fault in FAULTS if fault.name != name]
        self.chance.shuffle(self.bag)
        self.bag += [fault for fault in FAULTS if fault.name == name]

    def choose(self):
        """The next fault of a bag that holds each once, and a stream that it fits."""
        while True:
            if not self.bag:
                self.bag = [fault for fault in FAULTS if not self.only or self.only in fault.name]
                self.chance.shuffle(self.bag)
            fault = self.bag.pop()
            streams = [stream for stream in self.world.streams if fault.fits(self.world, stream)]
            if streams:
                return fault, self.chance.choice(streams)

    def play(self, checkpoint_every=20):
        """Plays all rounds; the first that finds something ends it with that error."""
        world = self.world
        world.write()
        recover(world)
        before = []
        for number in range(1, self.rounds + 1):
            fault, stream = self.choose()
            faults = [fault]
            if self.chance.random() < 0.15:
                second, _ = self.choose()
                if second.fits(world, stream):
                    faults.append(second)
            names = " + ".join(fault.name for fault in faults)
            begun = time.monotonic()
            round = Round(world, faults, stream, before)
            before = faults
            try:
                met = round.play()
            except Exception:
                print(f"{number:4} {names} ({stream.name}): FAILED", flush=True)
                raise
            kinds = collections.Counter(f"{status} {sqlstate or ''}".strip() for _, status, sqlstate, _ in round.failures)
            classes = collections.Counter(message_class(status, sqlstate, message) for _, status, sqlstate, message in round.failures)
            for fault in faults:
                self.times[fault.name] += 1
                self.outcomes[fault.name].update(classes or {"no run failed": 1})
            shown = ", ".join(f"{times} {kind}" for kind, times in kinds.items()) or "no run failed"
            print(f"{number:4} {names} ({stream.name}): {met}; {shown}; {time.monotonic() - begun:.1f} s", flush=True)
            if number % checkpoint_every == 0 or number == self.rounds:
                self.checkpoint(last=number == self.rounds)

    def checkpoint(self, last):
        world, begun = self.world, time.monotonic()
        world.quiet()
        for source in world.sources:
            for table in TABLES:
                with source.lock:
                    source.write(source.changes.repair_some(table))
        checks.settle(world)
        checks.check_all(world)
        rows = sum(len(stream.source.rows(stream.table)) for stream in world.streams)
        rejects = world.admin.value("SELECT count(*) FROM insync.error")
        print(f"     checked: {rows} rows, {rejects} rejects; {time.monotonic() - begun:.1f} s", flush=True)
        if not last:
            world.db.query("SELECT sync_resume('%')")
            world.write()

    def report(self):
        width = max([len(name) for name in self.times] or [0])
        print(f"\n{'fault'.ljust(width)} | times | outcomes of runs")
        for name in sorted(self.times):
            outcomes = ", ".join(f"{kind}: {times}" for kind, times in self.outcomes[name].most_common())
            print(f"{name.ljust(width)} | {self.times[name]:5} | {outcomes}")
        for source in self.world.sources:
            print(f"{source.name}: {self.world.written[source.name]} changes written, {self.world.refused[source.name]} refused")


def main():
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--fault", help="only faults with this in their name")
    parser.add_argument("--keep", action="store_true", help="keep the cluster's directory though all went well")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.rounds} rounds", flush=True)
    begun = time.monotonic()
    chaos = Chaos(given.seed, given.rounds, only=given.fault)
    world = chaos.world
    failed = True
    try:
        chaos.play()
        failed = False
    except Exception:  # noqa: BLE001 - reported, with what is needed to look for the cause
        traceback.print_exc(file=sys.stdout)
    finally:
        world.keep = given.keep or failed
        chaos.report()
        try:
            world.close()
        finally:
            if world.keep:
                print(f"the cluster is kept in {world.kept}: its log is log, its data directory data")
            only = f" --fault '{given.fault}'" if given.fault else ""
            print(f"repeat with: ./dev chaos --rounds {given.rounds} --seed {given.seed}{only}")
            print(f"{'FAIL' if failed else 'PASS'} after {time.monotonic() - begun:.0f} s")
    return int(failed)
