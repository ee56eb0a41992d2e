#!/usr/bin/env python3
"""How often a policy succeeds: many simulated episodes in parallel, by Ray.

    pip install --find-links out/wheels libpi0 "ray[serve]" metaworld tqdm
    python examples/evaluate_ray.py examples/policy --episodes 25 --replicas 2 --simulators 8
    python examples/evaluate_ray.py CHECKPOINT --address auto …     # on a cluster: docs/scale.md

The simulator is Meta-World 3 (MuJoCo; MUJOCO_GL=egl unless set), with the tasks, camera and state
that examples/policy was trained on. For another simulator, write another Simulator.

An episode is its number: its scene and each call's noise follow from it, so that one whose
simulator died is played again from its beginning, as it would have gone. The driver alone counts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from ray.exceptions import RayActorError
from ray.util.metrics import Counter, Histogram
from tqdm import tqdm

from libpi0.serve import ray as libpi0_ray

APP = "libpi0"
TASKS = {  # the instruction, and Meta-World's environment
    "open the drawer": "drawer-open-v3",
    "press the button": "button-press-topdown-v3",
    "close the drawer": "drawer-close-v3",
}


@dataclass
class Episode:
    """What is to be played."""

    number: int
    task: str
    seed: int


@dataclass
class Played:
    """How it went."""

    number: int
    task: str
    success: bool
    steps: int
    calls: int
    asked_again: int
    seconds: float


@ray.remote(max_restarts=-1)
class Simulator:
    """Plays episodes, one after another."""

    def __init__(self, handle: Any, max_steps: int, execute: int) -> None:
        self._policy = libpi0_ray.Policy(handle)
        self._max_steps = max_steps
        self._execute = execute
        info = self._policy.info
        (self._image_key,), (self._state_key,) = info["image_keys"], info["state_keys"]
        self._prompt_key = info["prompt_key"]
        self._environments: dict[str, Any] = {}

    def _environment(self, task: str) -> Any:
        if task not in self._environments:
            from metaworld.env_dict import ALL_V3_ENVIRONMENTS

            made = ALL_V3_ENVIRONMENTS[TASKS[task]](
                render_mode="rgb_array", camera_name="corner2", width=112, height=112
            )
            # As Meta-World's own *_GOAL_OBSERVABLE have it: the scene follows from seed().
            made._set_task_called = True
            made._freeze_rand_vec = False
            made.seeded_rand_vec = True
            self._environments[task] = made
        return self._environments[task]

    def play(self, episode: Episode) -> Played:
        began = time.monotonic()
        asked_before = self._policy.asked_again
        environment = self._environment(episode.task)
        environment.seed(episode.seed)
        seen, _ = environment.reset()
        steps = calls = 0
        success = False
        self._policy.reset()
        while steps < self._max_steps and not success:
            image = np.ascontiguousarray(environment.render()[::-1, ::-1])  # upright
            observation = {
                self._image_key: image,
                self._state_key: seen[:4],  # hand x, y, z, gripper
                self._prompt_key: episode.task,
            }
            seed = episode.seed * 1000 + calls
            actions = self._policy.infer(observation, seed=seed)["actions"]
            calls += 1
            for action in actions[: min(self._execute, self._max_steps - steps)]:
                seen, _, _, _, told = environment.step(np.clip(action, -1, 1))
                steps += 1
                if told["success"]:
                    success = True
                    break
        return Played(
            episode.number, episode.task, success, steps, calls,
            self._policy.asked_again - asked_before, time.monotonic() - began,
        )  # fmt: skip


def wilson(successes: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a rate, by Wilson's score."""
    if of == 0:
        return 0.0, 1.0
    z = 1.959964
    rate = successes / of
    middle = rate + z * z / (2 * of)
    half = z * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    return max(0.0, (middle - half) / (1 + z * z / of)), min(1.0, (middle + half) / (1 + z * z / of))


class Killer:
    """For tests of what should not matter: ends a replica, and a simulator that is at work."""

    def __init__(self, replica_after: int | None, actor_after: int | None) -> None:
        self._replica_after = replica_after
        self._actor_after = actor_after
        self.killed: list[str] = []

    def look(self, finished: int, at_work: Any) -> None:
        """``at_work``: a simulator with an episode in hand."""
        if self._replica_after is not None and finished >= self._replica_after:
            self._replica_after = None
            actors = ray.util.list_named_actors(all_namespaces=True)
            name, namespace = next(
                (actor["name"], actor["namespace"])
                for actor in actors
                if actor["name"].startswith(f"SERVE_REPLICA::{APP}#")
            )
            ray.kill(ray.get_actor(name, namespace), no_restart=True)
            self.killed.append(name)
        if self._actor_after is not None and finished >= self._actor_after:
            self._actor_after = None
            ray.kill(at_work, no_restart=False)
            self.killed.append("simulator")


def play_all(episodes: list[Episode], simulators: list[Any], killer: Killer) -> tuple[list[Played], int]:
    """Each of them, once; and how many had to be begun again."""
    finished = Counter("libpi0_episodes", "episodes played", tag_keys=("task", "success"))
    executed = Counter("libpi0_actions", "actions executed", tag_keys=("task",))
    took = Histogram(
        "libpi0_episode_seconds", "of an episode",
        boundaries=[0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500], tag_keys=("task",),
    )  # fmt: skip
    waiting, idle = deque(episodes), deque(simulators)
    running: dict[Any, tuple[Episode, Any]] = {}
    played: dict[int, Played] = {}
    begun_again = 0
    with tqdm(total=len(episodes), desc="episodes", unit="episode", disable=None) as bar:
        while len(played) < len(episodes):
            while waiting and idle:
                episode, simulator = waiting.popleft(), idle.popleft()
                play = simulator.play.options(name=f"{episode.task} {episode.number}")
                running[play.remote(episode)] = episode, simulator
            killer.look(len(played), next(iter(running.values()))[1])
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            episode, simulator = running.pop(ready)
            idle.append(simulator)
            try:
                result: Played = ray.get(ready)
            except RayActorError:  # it is started anew by Ray
                begun_again += 1
                waiting.appendleft(episode)
                time.sleep(0.2)
                continue
            assert result.number not in played, f"episode {result.number} was counted already"
            played[result.number] = result
            finished.inc(tags={"task": result.task, "success": str(result.success).lower()})
            executed.inc(max(1, result.steps), tags={"task": result.task})
            took.observe(result.seconds, tags={"task": result.task})
            successes = sum(one.success for one in played.values())
            bar.set_postfix_str(f"{successes} of {len(played)} succeeded")
            bar.update()
    return [played[number] for number in sorted(played)], begun_again


def summarise(played: list[Played], seconds: float) -> list[dict[str, Any]]:
    """A row a task, and one of all."""
    rows = []
    for task in [*dict.fromkeys(one.task for one in played), "all"]:
        of = [one for one in played if task in ("all", one.task)]
        successes = sum(one.success for one in of)
        low, high = wilson(successes, len(of))
        rows.append(
            {
                "task": task,
                "episodes": len(of),
                "successes": successes,
                "success_rate": successes / len(of),
                "wilson_95": [low, high],
                "mean_steps": sum(one.steps for one in of) / len(of),
                "actions_per_second": sum(one.steps for one in of)
                / (seconds if task == "all" else sum(one.seconds for one in of)),
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| task | episodes | succeeded | rate | 95 % (Wilson) | mean steps | actions/s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        low, high = row["wilson_95"]
        lines.append(
            f"| {row['task']} | {row['episodes']} | {row['successes']} | {row['success_rate']:.0%} "
            f"| {low:.0%} to {high:.0%} | {row['mean_steps']:.0f} | {row['actions_per_second']:.1f} |"
        )
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--episodes", type=int, default=10, help="of each task")
    parser.add_argument("--seed", type=int, default=100_000, help="of the first episode")
    parser.add_argument("--max-steps", type=int, default=160)
    parser.add_argument("--execute", type=int, default=8, help="actions of a chunk")
    parser.add_argument("--replicas", type=int, default=1, help="of the policy")
    parser.add_argument("--cpus", type=int, default=1, help="of a replica")
    parser.add_argument("--simulators", type=int, default=2)
    parser.add_argument("--simulator-cpus", type=float, default=0.5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="")
    parser.add_argument("--address", help='of a Ray cluster, or "auto"; none: one here, for this')
    parser.add_argument("--out", type=Path, default=Path("out/evaluation"), help="OUT.md, OUT.json")
    parser.add_argument("--kill-replica-after", type=int, metavar="EPISODES", help="to test that")
    parser.add_argument("--kill-actor-after", type=int, metavar="EPISODES", help="the same")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    needed = options.replicas * options.cpus + options.simulators * options.simulator_cpus
    environment = {"env_vars": {"MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}}
    if options.address:
        ray.init(options.address, runtime_env=environment)
    else:
        cores = math.ceil(max(os.cpu_count() or 1, needed))
        ray.init(num_cpus=cores, runtime_env=environment, log_to_driver=False)
    if needed > (there := ray.cluster_resources().get("CPU", 0)):  # type: ignore[no-untyped-call]
        print(f"waiting for cores: {needed:g} are asked for, {there:g} are there", file=sys.stderr)
    handle = serve.run(
        libpi0_ray.application(
            options.checkpoint.resolve(), replicas=options.replicas, cpus=options.cpus,
            device=options.device, dtype=options.dtype,
        ),
        name=APP, route_prefix=None,
    )  # fmt: skip
    try:
        device = libpi0_ray.Policy(handle).info["device"]
        simulators = [
            Simulator.options(  # type: ignore[attr-defined]
                name=f"simulator {i}", num_cpus=options.simulator_cpus
            ).remote(handle, options.max_steps, options.execute)
            for i in range(options.simulators)
        ]
        episodes = [
            Episode(number, task, options.seed + number // len(options.tasks))
            for number, task in enumerate(options.tasks * options.episodes)
        ]
        killer = Killer(options.kill_replica_after, options.kill_actor_after)
        began = time.monotonic()
        played, begun_again = play_all(episodes, simulators, killer)
        seconds = time.monotonic() - began
    finally:
        serve.delete(APP)  # a cluster may serve others
        ray.shutdown()
    rows = summarise(played, seconds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    told = (
        f"{options.checkpoint}, {device}; {options.replicas} replicas, {options.simulators} "
        f"simulators; {seconds:.0f} s, {sum(one.calls for one in played)} calls"
    )
    options.out.with_suffix(".md").write_text(f"{told}\n\n{markdown(rows)}\n")
    options.out.with_suffix(".json").write_text(
        json.dumps(
            {
                "checkpoint": str(options.checkpoint),
                "device": device,
                "seconds": seconds,
                "begun_again": begun_again,
                "killed": killer.killed,
                "tasks": rows,
                "episodes": [asdict(one) for one in played],
            },
            indent=1,
        )
    )
    print(f"{told}\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
