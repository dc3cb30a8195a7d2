# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # A policy that adapts
# Meta-train on three grid tasks, take the policy to a task that it has not seen, and watch it go. Run the cells in an
# editor that knows `# %%` (VS Code, Spyder, Jupytext), or all of it as a script.

# %%
import numpy as np

import dunlin

run = dunlin.train("navigation", seed=7)
print({task["name"]: round(task["return_ratio"], 3) for task in run.summary["tasks"]})

# %% [markdown]
# `run.metrics` has a record for each evaluation.

# %%
metrics = run.metrics
print(metrics.dtype.names)
print("environment steps:", metrics["env_steps"][-1])

# %% [markdown]
# A task of one's own: another goal, with left and right exchanged. Three inner steps tell the policy about it.

# %%
task = {"goal": (5, 1), "moves": (0, 1, 3, 2, 4)}
env = dunlin.make("grid", discount=0.95, **task)
adapted = run.policy.adapt(env, steps=3)
print("mean return after 0 to 3 steps:", np.round(adapted.returns, 3))

# %% [markdown]
# Many copies of it step together; how many of them arrive?

# %%
envs = dunlin.make_vec("grid", 1000, tasks=[task], autoreset_mode="next_step")


def arrivals(policy: dunlin.Policy) -> float:
    states, _ = envs.reset(seed=1)
    arrived = np.zeros(envs.num_envs, bool)
    for _ in range(30):
        states, _, terminated, _, _ = envs.step(policy.act(states))
        arrived |= terminated
    return float(arrived.mean())


print(f"arrived: {arrivals(run.policy):.2f} before, {arrivals(adapted):.2f} after")

# %% [markdown]
# `env.render()` is an RGB array, for `matplotlib.pyplot.imshow`.

# %%
env.reset(seed=3)
print("picture:", env.render().shape)
