"""lerobot's policy of type "libpi0": π0 and π0.5 in lerobot-eval and lerobot-rollout.

    lerobot-eval --policy.type=libpi0 --policy.pretrained_path=checkpoint/ --env.type=pusht …
    lerobot-rollout --policy.type=libpi0 --policy.server=ws://gpu-box:8000 --robot.type=… …

The distribution lerobot_policy_libpi0 is what lerobot finds and imports this by; or say
``--policy.discover_packages_path=libpi0.lerobot``. In a program, in place of ``PI0Policy``:

    policy = LibPi0Policy.from_pretrained("checkpoint/", dtype="int8")
    preprocess, postprocess = make_pre_post_processors(policy.config)
"""

try:
    import lerobot.policies  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"libpi0.lerobot needs lerobot, and {error.name} is not installed: pip install lerobot"
    ) from error

from libpi0.lerobot.configuration_libpi0 import LibPi0Config
from libpi0.lerobot.modeling_libpi0 import LibPi0Policy
from libpi0.lerobot.processor_libpi0 import make_libpi0_pre_post_processors

__all__ = ["LibPi0Config", "LibPi0Policy", "make_libpi0_pre_post_processors"]
