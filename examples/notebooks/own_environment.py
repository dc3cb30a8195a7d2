# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # MEMRL on an environment of one's own
# A ferry is to stay in the middle of a river. On some ferries the rudder is mounted the wrong way round, so that what is
# right for one is wrong for the next: a policy has to adapt. All copies step at once in NumPy, which is what makes it
# fast.

# %%
import numpy as np

import dunlin


class Space:
    """Where Gymnasium is installed, its spaces do as well."""

    def __init__(self, shape=(), n=None):
        self.shape = shape
        if n is not None:
            self.n = n


class Ferries:
    single_observation_space = Space((2,))
    single_action_space = Space(n=3)  # left, straight on, right

    def __init__(self, node, count, current=0.02):
        random = np.random.default_rng(node)
        self.num_envs = count
        self.current = current * random.uniform(-1, 1)
        self.rudder = 0.06 * (-1 if node % 2 else 1)

    def observe(self):
        return np.stack([self.place, 10 * self.speed], axis=1).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        self.place = np.random.default_rng(seed).uniform(-0.8, 0.8, self.num_envs)
        self.speed = np.zeros(self.num_envs)
        return self.observe(), {}

    def step(self, actions):
        self.speed = 0.7 * self.speed + self.rudder * (actions - 1) + self.current
        self.place = np.clip(self.place + self.speed, -1, 1)
        distance = np.abs(self.place)
        return self.observe(), (1 - distance) ** 2, distance >= 1, np.zeros(self.num_envs, bool), {}


# %% [markdown]
# Registered, it is a problem like Dunlin's own: any objective, any aggregation, `compare` and `sweep`.

# %%
dunlin.register_environment("ferries", Ferries, nodes=6, horizon=40, discount=0.97, settings={"current": 0.02})
run = dunlin.train(
    "ferries",
    method="persafl-me",
    overrides={
        "model.hidden": [16, 16],
        "federated.batch": 40,
        "moreau.inner_rate": 0.05,
        "adaptation.step_clip": 0,
        "personal.steps": 5,
        "personal.rate": 0.05,
        "clock.budget_s": 200,
        "report.evaluations": 4,
    },
)
print("return of the personal policies:", np.round(run.metrics["personal_return"], 2))

# %% [markdown]
# The shared policy meets a ferry that no node had.

# %%
adapted = run.policy.adapt(lambda count: Ferries(101, count), steps=3, trajectories=40, horizon=40)
print("mean return after 0 to 3 steps:", np.round(adapted.returns, 2))
